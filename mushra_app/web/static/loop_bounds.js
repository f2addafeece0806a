// The bounds of the loop region. They stay within the recording, and at least the shortest loop apart.

const FIRST_SECONDS = 1; // length of a region that nobody has drawn

export class LoopBounds {
  start = 0; // seconds
  end = 0; // 0 until a region is chosen

  #duration;
  #shortest;

  /**
   * @param {number} duration of the recording, in seconds
   * @param {number} shortest length of a loop, in seconds; the duration if the recording is shorter
   */
  constructor(duration, shortest) {
    this.#duration = duration;
    this.#shortest = Math.min(shortest, duration);
  }

  get chosen() {
    return this.end > 0;
  }

  /** Choose the second before `position`, which the listener has just heard. */
  chooseBefore(position) {
    this.start = Math.max(0, position - FIRST_SECONDS);
    this.end = Math.min(this.#duration, this.start + FIRST_SECONDS);
  }

  /** Choose what lies between two times, in any order. A short region is extended. */
  choose(one, other) {
    this.start = Math.min(one, other, this.#duration - this.#shortest);
    this.end = Math.max(one, other, this.start + this.#shortest);
  }

  /** Move the region `before` by some seconds, without changing its length. */
  shift(before, seconds) {
    const possible = Math.max(-before.start, Math.min(seconds, this.#duration - before.end));
    this.start = before.start + possible;
    this.end = before.end + possible;
  }

  /**
   * Move one bound to `time`, or as close to it as the other bound permits.
   *
   * @param {"start" | "end"} edge
   * @param {number} time
   */
  move(edge, time) {
    if (edge === "start") this.start = Math.max(0, Math.min(time, this.end - this.#shortest));
    else this.end = Math.min(this.#duration, Math.max(time, this.start + this.#shortest));
  }
}
