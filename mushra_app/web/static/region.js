// The loop region on the waveform. A pointer drags its ends, moves it, or draws another beside it; for keyboards and
// screen readers each end is a slider as well. "change" tells that what should loop is another, once the hand rests.
import { SHORTEST_LOOP_SECONDS } from "./player.js";

const FIRST_SECONDS = 1; // of a region that nobody has drawn
const SLACK = 4; // pixels that a click may slip before it is a drag
const REST = 250; // milliseconds without a key after which a moved end is meant

export class LoopRegion extends EventTarget {
  on = false;
  start = 0; // seconds
  end = 0;

  #element;
  #sliders; // "start" and "end"
  #duration;
  #shortest;
  #drag = null; // while a pointer is down { grip, from: pixels, at: seconds, before: the region then, moved }
  #timer = 0;

  /** element: the waveform, with an <input type=range data-edge> for each end. duration: seconds of the recording. */
  constructor(element, duration) {
    super();
    this.#element = element;
    this.#duration = duration;
    this.#shortest = Math.min(SHORTEST_LOOP_SECONDS, duration);
    this.#sliders = Object.fromEntries([...element.querySelectorAll("input")].map((input) => [input.dataset.edge, input]));
    for (const [edge, slider] of Object.entries(this.#sliders)) {
      const step = Number(slider.step);
      slider.max = Math.ceil(duration / step) * step;
      slider.addEventListener("input", () => this.#slide(edge, slider.valueAsNumber));
    }
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#pull(event));
    element.addEventListener("pointerup", () => this.#release());
    element.addEventListener("pointercancel", () => this.#undo()); // a finger that scrolls the page after all
    this.#draw();
  }

  /** Loop or not. The first time it is the second that was just heard, which ends at `position`. */
  toggle(position) {
    this.on = !this.on;
    if (this.end === 0) {
      const latest = Math.max(0, this.#duration - FIRST_SECONDS);
      this.start = Math.min(latest, Math.max(0, position - FIRST_SECONDS));
      this.end = Math.min(this.#duration, this.start + FIRST_SECONDS);
    }
    this.#settle();
  }

  #press(event) {
    if (event.button !== 0) return;
    const { on, start, end } = this;
    const grip = event.target.dataset.grip ?? "new";
    this.#drag = { grip, from: event.clientX, at: this.#time(event), before: { on, start, end }, moved: false };
    this.#element.setPointerCapture(event.pointerId);
  }

  #pull(event) {
    if (this.#drag === null) return;
    const { grip, from, at, before } = this.#drag;
    this.#drag.moved ||= Math.abs(event.clientX - from) > SLACK;
    if (!this.#drag.moved) return;
    const time = this.#time(event);
    if (grip === "new") {
      this.on = true;
      this.start = Math.min(at, time, this.#duration - this.#shortest);
      this.end = Math.max(at, time, this.start + this.#shortest);
    } else if (grip === "both") {
      const shift = Math.max(-before.start, Math.min(time - at, this.#duration - before.end));
      this.start = before.start + shift;
      this.end = before.end + shift;
    } else {
      this.#move(grip, before[grip] + time - at);
    }
    this.#draw();
  }

  #release() {
    const moved = this.#drag?.moved;
    this.#drag = null;
    if (moved) this.#settle();
  }

  #undo() {
    if (this.#drag !== null) Object.assign(this, this.#drag.before);
    this.#drag = null;
    this.#draw();
  }

  #slide(edge, time) {
    this.#move(edge, time);
    this.#draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), REST);
  }

  /** One end goes to `time`, or as near as the other lets it come. */
  #move(edge, time) {
    if (edge === "start") this.start = Math.max(0, Math.min(time, this.end - this.#shortest));
    else this.end = Math.min(this.#duration, Math.max(time, this.start + this.#shortest));
  }

  #settle() {
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #time(event) {
    const { left, width } = this.#element.getBoundingClientRect();
    return this.#duration * Math.max(0, Math.min(1, (event.clientX - left) / width));
  }

  #draw() {
    this.#element.classList.toggle("looping", this.on);
    const spoken = new Intl.NumberFormat(document.documentElement.lang, {
      style: "unit", unit: "second", unitDisplay: "long", maximumFractionDigits: 2,
    });
    for (const [edge, slider] of Object.entries(this.#sliders)) {
      this.#element.style.setProperty(`--${edge}`, this[edge] / this.#duration);
      slider.disabled = !this.on;
      slider.value = this[edge];
      slider.setAttribute("aria-valuetext", spoken.format(this[edge]));
    }
  }
}
