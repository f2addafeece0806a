// How the stimuli of a trial were heard and its sliders moved; the draft keeps it and the submission contains it.

const MOST_MOVES = 50; // of one slider: the first, and the last 49
const SAME_MOVE = 0.5; // seconds within which changes of a slider are one move

export class Listening {
  #draft;
  #current = null; // name of the stimulus that plays
  #since = 0; // seconds at which its time was last counted

  /** @param {{ heard: Record<string, object> }} draft holds a record per stimulus: plays, seconds, switches, moves */
  constructor(draft) {
    this.#draft = draft;
  }

  /**
   * State what plays.
   *
   * @param {string | null} name of the stimulus; null: silence
   * @param {number} now in seconds
   */
  plays(name, now) {
    this.#count(now);
    if (name === this.#current) return;
    if (name !== null) {
      const record = this.of(name);
      record.plays += 1;
      if (this.#current !== null) record.switches += 1;
    }
    this.#current = name;
  }

  /**
   * Record that a slider has moved.
   *
   * @param {string} name of the stimulus
   * @param {number} score
   * @param {number} time in seconds on the page
   */
  moved(name, score, time) {
    const { moves } = this.of(name);
    const last = moves[moves.length - 1];
    if (last?.[1] === score) return;
    const at = Math.round(time * 10) / 10;
    if (last !== undefined && at - last[0] < SAME_MOVE) moves.pop();
    moves.push([at, score]);
    if (moves.length > MOST_MOVES) moves.splice(1, 1);
  }

  /** The record of a stimulus. */
  of(name) {
    this.#draft.heard[name] ??= { plays: 0, seconds: 0, switches: 0, moves: [] };
    return this.#draft.heard[name];
  }

  #count(now) {
    if (this.#current !== null) {
      const record = this.of(this.#current);
      record.seconds = Math.round((record.seconds + Math.max(0, now - this.#since)) * 1000) / 1000;
    }
    this.#since = now;
  }
}
