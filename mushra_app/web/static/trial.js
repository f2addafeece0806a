// One trial: play, rate, send.
import { load, openContext, wake, watchOutput } from "./audio.js";
import { Draft } from "./draft.js";
import { listenToKeys } from "./keys.js";
import { Listening } from "./listening.js";
import { notice } from "./page.js";
import { Player, SHORTEST_LOOP_SECONDS } from "./player.js";
import { LoopRegion } from "./region.js";
import { clamped, MIDDLE, stepped } from "./scale.js";
import { send } from "./send.js";
import { TrialPage } from "./trial_page.js";
import { outline } from "./waveform.js";

const REFERENCE = "reference"; // its name in the draft
const COLUMNS = 600; // of the waveform, as in the template's viewBox

class Trial {
  #page = new TrialPage();
  #draft = new Draft(this.#page.root.dataset.key);
  #listening = new Listening(this.#draft);
  #sampleRate = Number(this.#page.root.dataset.sampleRate);
  #context = openContext(this.#sampleRate);
  #player = null; // condition 0 is the reference, k is conditions[k - 1]; null until the stimuli are loaded
  #region = null; // likewise
  #following = false; // whether the playhead moves with every frame
  #countedTo = performance.now(); // draft.seconds covers the time until here

  /** Actions of the keys; false leaves a key to the browser. */
  #actions = {
    listen: (index) => index <= this.#page.conditions.length && this.#page.ready && void this.#listen(index),
    toggle: () => this.#page.ready && void this.#toggle(),
    restart: () => this.#page.ready && void this.#restart(),
    loop: () => this.#page.ready && this.#region.toggle(this.#player.position),
    help: () => this.#page.help.showModal(),
    step: (points) => this.#step(points),
  };

  async open() {
    listenToKeys(this.#actions);
    this.#page.showHelp.addEventListener("click", this.#actions.help);
    notice("rate", this.#context.sampleRate !== this.#sampleRate);
    // The Back button restores a page whose trial may be over; the server then redirects to the open one.
    addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
    if (this.#draft.submitted) {
      this.#submit();
      return;
    }
    try {
      await this.#load();
    } catch (error) {
      this.#page.loading.hidden = true;
      notice(error.notice ?? "load", true);
      return;
    }
    this.#page.state = "ready";
    this.#connect();
    this.#countedTo = performance.now();
    setInterval(() => this.#countSeconds(), 1000);
    this.#render();
  }

  async #load() {
    const buffers = await load(this.#context, this.#page.urls, (fraction) => this.#page.showProgress(fraction));
    this.#player = new Player(this.#context, buffers);
    this.#player.loop(0, this.#player.duration); // fades its edges, so that no recording clicks where the loop closes
    this.#page.drawWaveform(outline(buffers[0], COLUMNS));
    this.#region = new LoopRegion(this.#page.waveform, this.#player.duration, SHORTEST_LOOP_SECONDS);
  }

  #connect() {
    this.#page.reference.addEventListener("click", () => this.#listen(0));
    this.#page.toggle.addEventListener("click", () => this.#toggle());
    this.#page.restart.addEventListener("click", () => this.#restart());
    this.#page.loop.addEventListener("click", this.#actions.loop);
    this.#page.next.addEventListener("click", () => this.#submit());
    for (const [k, condition] of this.#page.conditions.entries()) this.#connectCondition(condition, k + 1);
    if (this.#page.comment !== null) this.#connectComment();
    this.#region.addEventListener("change", () => {
      if (this.#region.on) this.#player.loop(this.#region.start, this.#region.end);
      else this.#player.loop(0, this.#player.duration);
      this.#render();
    });
    // A clicked button gives up the focus, so that the space bar plays and pauses instead of pressing it again.
    document.addEventListener("click", ({ detail, target }) => detail > 0 && target.closest("button")?.blur());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden || !this.#page.ready) return;
      this.#draft.load();
      this.#render();
    });
    this.#context.addEventListener("statechange", () => this.#render());
    watchOutput(this.#context, () => this.#stopForNow());
  }

  #connectCondition(condition, index) {
    const { button, rail, slider } = condition;
    button.addEventListener("click", () => this.#listen(index));
    // A click on the rail of a condition that does not play starts it, since only what is heard can be rated.
    rail.addEventListener("click", () => {
      if (this.#page.ready && slider.disabled) this.#listen(index);
    });
    slider.addEventListener("input", () => this.#rate(condition, slider.valueAsNumber));
    let before = null; // the score when a pointer was pressed; null while none is
    slider.addEventListener("pointerdown", ({ button }) => {
      if (button === 0) before = { score: this.#draft.scores[condition.token] };
    });
    slider.addEventListener("pointerup", () => {
      if (before !== null) this.#rate(condition, slider.valueAsNumber); // no "input" event at the slider's own value
      before = null;
    });
    // The browser has scrolled the page instead. It may have moved the slider before it knew.
    slider.addEventListener("pointercancel", () => {
      if (before !== null) this.#unrate(condition, before.score);
      before = null;
    });
  }

  #connectComment() {
    const { comment } = this.#page;
    comment.addEventListener("input", () => {
      this.#draft.comments[this.#selected.token] = comment.value;
      this.#draft.save();
    });
    comment.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" || key === "Escape") this.#focusSlider();
    });
  }

  /** The condition that plays or played last; undefined for the reference. */
  get #selected() {
    return this.#page.conditions[this.#player?.index - 1];
  }

  get #playing() {
    return (this.#player?.playing ?? false) && this.#context.state === "running";
  }

  #render() {
    const selected = this.#player?.index;
    const playing = this.#playing;
    if (playing && selected === 0) this.#draft.heardReference = true;
    this.#recordPlaying(playing);
    this.#page.render({ draft: this.#draft, selected, playing, region: this.#region });
    if (this.#player !== null && !this.#following) this.#followPlayhead();
  }

  #recordPlaying(playing) {
    this.#listening.plays(playing ? (this.#selected?.token ?? REFERENCE) : null, performance.now() / 1000);
  }

  /** Move the playhead, and again before every frame while the player plays: a paused page costs no battery. */
  #followPlayhead() {
    this.#page.movePlayhead(this.#player.position / this.#player.duration);
    this.#following = this.#player.playing;
    if (this.#following) requestAnimationFrame(() => this.#followPlayhead());
  }

  async #listen(index) {
    this.#player.select(index);
    this.#player.start();
    await this.#settle();
    if (this.#player.index === index) this.#focusSlider();
  }

  async #toggle() {
    if (this.#playing) {
      // A paused slider is disabled and loses the focus; it moves to the button that continues.
      if (document.activeElement === this.#selected?.slider) this.#page.toggle.focus({ preventScroll: true });
      this.#player.pause();
      await this.#settle();
    } else {
      this.#player.start();
      await this.#settle();
      this.#focusSlider();
    }
  }

  async #restart() {
    this.#player.restart();
    this.#player.start();
    await this.#settle();
  }

  /** Pause, since a call, the lock screen or a change of the output device has stopped or moved the sound. */
  #stopForNow() {
    this.#player.pause();
    this.#render();
    notice("interrupted", true);
  }

  /** Show and store a change of playback, and explain if the browser does not permit audio. */
  async #settle() {
    this.#render();
    if (this.#player.playing) notice("interrupted", false);
    notice("silent", !(await wake(this.#context)));
    this.#render();
    this.#draft.save();
  }

  #focusSlider() {
    this.#selected?.slider.focus({ preventScroll: true });
  }

  /** Change the score of the condition that plays; false if no condition is selected, so that the page may scroll. */
  #step(points) {
    const condition = this.#selected;
    if (!this.#page.ready || condition === undefined) return false;
    if (this.#playing) this.#rate(condition, stepped(this.#draft.scores[condition.token], points));
    return true;
  }

  #rate({ token }, score) {
    this.#draft.scores[token] = clamped(score);
    this.#listening.moved(token, clamped(score), this.#draft.seconds + (performance.now() - this.#countedTo) / 1000);
    this.#draft.save();
    this.#render();
  }

  /** Return to the score before a touch that was no rating. */
  #unrate({ token, slider }, score) {
    if (score !== undefined) {
      this.#rate({ token }, score);
      return;
    }
    delete this.#draft.scores[token];
    slider.value = MIDDLE;
    this.#draft.save();
    this.#render();
  }

  #countSeconds() {
    const now = performance.now();
    const passed = Math.min(now - this.#countedTo, 2000) / 1000; // a longer gap means that the computer slept
    this.#countedTo = now;
    this.#recordPlaying(this.#playing);
    if (document.hidden) return; // and save nothing: the trial may continue in another tab
    this.#draft.seconds += passed;
    this.#draft.save();
  }

  async #submit() {
    if (this.#page.state === "sending") return;
    this.#page.state = "sending";
    notice("refused", false);
    this.#player?.pause();
    this.#draft.submitted = true;
    this.#countSeconds();
    this.#render();
    const { submit } = this.#page.root.dataset;
    const { status, answer } = await send(submit, this.#submission(), () => notice("unsent", true));
    notice("unsent", false);
    this.#finish(status, answer);
  }

  #submission() {
    const ratings = this.#page.conditions.map(({ token }) => ({
      stimulus: token,
      score: this.#draft.scores[token],
      comment: this.#draft.comments[token] ?? "",
      heard: this.#listening.of(token),
    }));
    const heard = this.#listening.of(REFERENCE);
    return { token: this.#page.root.dataset.token, seconds: this.#draft.seconds, heard, ratings };
  }

  #finish(status, answer) {
    if (status === 200) {
      this.#draft.forget();
      location.assign(answer.next);
    } else if (status === 409) {
      this.#draft.forget();
      this.#page.state = "stored";
      this.#render();
      notice("elsewhere", true);
    } else {
      this.#draft.submitted = false;
      this.#draft.save();
      this.#page.state = "ready";
      notice("refused", true, answer.error);
      this.#render();
    }
  }
}

new Trial().open();
