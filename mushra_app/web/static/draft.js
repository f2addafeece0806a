// The unsent answers of one trial. localStorage keeps them through a reload or a lost connection.

export class Draft {
  scores = {}; // stimulus token -> 0 to 100; absent until rated
  comments = {}; // stimulus token -> text
  heardReference = false;
  heard = {}; // stimulus token, or "reference" -> how it was heard; see listening.js
  seconds = 0; // time for which the page was visible
  submitted = false; // the listener has finished; the server may not have received the answers yet

  #name;
  #forgotten = false;

  /** Opens the stored draft of a trial, if there is one. */
  constructor(trialKey) {
    this.#name = `earmark:${trialKey}`;
    this.load();
  }

  /** Take over what was stored last, possibly by another tab with the same trial. */
  load() {
    try {
      Object.assign(this, JSON.parse(localStorage.getItem(this.#name)));
    } catch {
      // Storage is disabled or its content is not ours: the draft lasts as long as the page.
    }
  }

  /** Store the draft, unless it was forgotten. */
  save() {
    if (this.#forgotten) return;
    try {
      localStorage.setItem(this.#name, JSON.stringify(this));
    } catch {
      // Storage is disabled or full: the draft lasts as long as the page.
    }
  }

  /** Delete the stored draft, and store nothing from now on. */
  forget() {
    this.#forgotten = true;
    try {
      localStorage.removeItem(this.#name);
    } catch {
      // Storage is disabled, so nothing is stored.
    }
  }
}
