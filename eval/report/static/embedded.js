// Players whose clips are embedded in the page. Each decodes its clips when it is first played; one plays at a time.
import { Player } from "#player";
import { showVersion } from "#versions";

let context = null; // shared by all players: browsers allow few contexts, and none before the first click or key
let active = null; // the card that was started last

/** Decode one clip: base64 of a FLAC file, which the browser resamples to the rate of the context. */
async function decode(element) {
  const text = atob(element.textContent);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return context.decodeAudioData(bytes.buffer);
}

class Card {
  #root;
  #play;
  #position;
  #choices;
  #player = null; // until the clips are decoded

  /** @param {HTMLElement} root the .player element */
  constructor(root) {
    this.#root = root;
    this.#play = root.querySelector(".play");
    this.#position = root.querySelector("progress");
    this.#choices = [...root.querySelectorAll("input[type=radio]")];
    this.#play.addEventListener("click", () => this.toggle());
    for (const choice of this.#choices) choice.addEventListener("change", () => this.#select());
    root.addEventListener("keydown", (event) => this.#onKey(event));
  }

  async toggle() {
    if (this.#root.dataset.state === "loading") return;
    if (this.#player?.playing) {
      this.pause();
      return;
    }
    active?.pause();
    active = this;
    context ??= new AudioContext();
    context.resume(); // browsers require this within the click or key, so before the first await
    if (this.#player === null && !(await this.#load())) return;
    if (active !== this) return; // another card was started while this one loaded
    this.#player.select(this.#chosen);
    this.#player.start();
    this.#show("playing", "Pause");
    this.#followPlayhead();
  }

  pause() {
    if (!this.#player?.playing) return;
    this.#player.pause();
    this.#show("paused", "Play");
  }

  get #chosen() {
    return this.#choices.findIndex((choice) => choice.checked);
  }

  #select() {
    this.#player?.select(this.#chosen);
    showVersion(this.#root, this.#chosen);
  }

  async #load() {
    this.#show("loading", "Loading");
    try {
      const buffers = await Promise.all([...this.#root.querySelectorAll(".clip")].map(decode));
      this.#player = new Player(context, buffers);
      this.#player.loop(0, this.#player.duration); // fades its edges: an excerpt would click where the loop closes
    } catch (error) {
      this.#show("failed", "Play");
      this.#root.querySelector(".message").textContent = `This browser cannot play FLAC (${error.message}).`;
      return false;
    }
    this.#show("paused", "Play");
    return true;
  }

  #show(state, action) {
    this.#root.dataset.state = state;
    this.#play.textContent = action;
  }

  #followPlayhead() {
    if (!this.#player.playing) return;
    this.#position.value = this.#player.position / this.#player.duration;
    requestAnimationFrame(() => this.#followPlayhead());
  }

  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const digit = /^[0-9]$/.test(event.key) ? Number(event.key) : -1;
    if (event.key === " " && event.target !== this.#play) {
      this.toggle();
    } else if (digit in this.#choices) {
      this.#choices[digit].checked = true;
      this.#select();
    } else if (event.key === "Home") {
      this.#player?.restart();
    } else {
      return;
    }
    event.preventDefault();
  }
}

for (const root of document.querySelectorAll(".player")) new Card(root);
