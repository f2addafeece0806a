// The loop region on the waveform. A pointer draws a region, moves it or drags its ends; for keyboards and screen readers
// each end is also a slider. A "change" event follows once the pointer is released or the keys rest.
import { LoopBounds } from "./loop_bounds.js";

const SLACK = 4; // pixels that a click may move without being a drag
const REST = 250; // milliseconds without a key press after which a moved end takes effect

export class LoopRegion extends EventTarget {
  on = false; // whether the region loops

  #element;
  #bounds;
  #sliders; // { start, end }
  #duration;
  #speech; // speaks a time
  #drag = null; // while the pointer is down: { grip, from in pixels, at in seconds, before: the region, moved }
  #timer = 0;

  /**
   * @param {HTMLElement} element the waveform, with an <input type=range data-edge> for each end
   * @param {number} duration of the recording, in seconds
   * @param {number} shortest length of a loop, in seconds
   */
  constructor(element, duration, shortest) {
    super();
    this.#element = element;
    this.#duration = duration;
    this.#bounds = new LoopBounds(duration, shortest);
    this.#speech = new Intl.NumberFormat(`${document.documentElement.lang}-u-nu-latn`, {
      style: "unit",
      unit: "second",
      unitDisplay: "long",
      maximumFractionDigits: 2,
    });
    this.#sliders = Object.fromEntries(
      [...element.querySelectorAll("input")].map((slider) => [slider.dataset.edge, slider]),
    );
    for (const [edge, slider] of Object.entries(this.#sliders)) {
      const step = Number(slider.step);
      slider.max = Math.ceil(duration / step) * step;
      slider.addEventListener("input", () => this.#slide(edge, slider.valueAsNumber));
    }
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#pull(event));
    element.addEventListener("pointerup", () => this.#release());
    element.addEventListener("pointercancel", () => this.#undo()); // the browser scrolls the page instead
    this.#draw();
  }

  /** Start of the region in seconds. */
  get start() {
    return this.#bounds.start;
  }

  /** End of the region in seconds. */
  get end() {
    return this.#bounds.end;
  }

  /** Turn the loop on or off. If no region was chosen yet, choose the second before `position`. */
  toggle(position) {
    this.on = !this.on;
    if (!this.#bounds.chosen) this.#bounds.chooseBefore(position);
    this.#settle();
  }

  #press(event) {
    if (event.button !== 0) return;
    const grip = event.target.dataset.grip ?? "new";
    const before = { on: this.on, start: this.start, end: this.end };
    this.#drag = { grip, from: event.clientX, at: this.#time(event), before, moved: false };
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
      this.#bounds.choose(at, time);
    } else if (grip === "both") {
      this.#bounds.shift(before, time - at);
    } else {
      this.#bounds.move(grip, before[grip] + time - at);
    }
    this.#draw();
  }

  #release() {
    const moved = this.#drag?.moved;
    this.#drag = null;
    if (moved) this.#settle();
  }

  #undo() {
    if (this.#drag !== null) {
      const { on, start, end } = this.#drag.before;
      this.on = on;
      Object.assign(this.#bounds, { start, end });
    }
    this.#drag = null;
    this.#draw();
  }

  #slide(edge, time) {
    this.#bounds.move(edge, time);
    this.#draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), REST);
  }

  #settle() {
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  /** Time under the pointer. */
  #time(event) {
    const { left, width } = this.#element.getBoundingClientRect();
    return this.#duration * Math.max(0, Math.min(1, (event.clientX - left) / width));
  }

  #draw() {
    this.#element.classList.toggle("looping", this.on);
    for (const [edge, slider] of Object.entries(this.#sliders)) {
      const time = this.#bounds[edge];
      this.#element.style.setProperty(`--${edge}`, time / this.#duration);
      slider.disabled = !this.on;
      slider.value = time;
      slider.setAttribute("aria-valuetext", this.#speech.format(time));
    }
  }
}
