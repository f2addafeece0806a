// The players of a report: each decodes its clips when it is first played, and only one sounds at a time.

import { Player } from "#player";
import { showVersion } from "#linked";

let context = null; // one for the page: browsers allow few, and none before the first gesture
let sounding = null;

/** The samples of one clip: base64 of a FLAC file, resampled by the browser to the context's rate. */
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
  #player = null;

  constructor(root) {
    this.#root = root;
    this.#play = root.querySelector(".play");
    this.#position = root.querySelector("progress");
    this.#choices = [...root.querySelectorAll("input[type=radio]")];
    this.#play.addEventListener("click", () => this.toggle());
    this.#choices.forEach((choice) => choice.addEventListener("change", () => this.#select()));
    root.addEventListener("keydown", (event) => this.#key(event));
  }

  async toggle() {
    if (this.#root.dataset.state === "loading") return;
    if (this.#player?.playing) {
      this.pause();
      return;
    }
    sounding?.pause();
    sounding = this;
    context ??= new AudioContext();
    context.resume(); // iOS and the autoplay rule: within the gesture, before anything is awaited
    if (this.#player === null && !(await this.#load())) return;
    if (sounding !== this) return; // another was started while this one loaded
    this.#player.select(this.#chosen);
    this.#player.start();
    this.#show("playing", "Pause");
    this.#follow();
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
      this.#player.loop(0, this.#player.duration); // with faded edges: an excerpt would click where it closes
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

  #follow() {
    if (!this.#player.playing) return;
    this.#position.value = this.#player.position / this.#player.duration;
    requestAnimationFrame(() => this.#follow());
  }

  #key(event) {
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

document.querySelectorAll(".player").forEach((root) => new Card(root));
