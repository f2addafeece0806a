// The unsent answers of one trial, kept in localStorage so that a reload or a lost connection costs nothing.

export class Draft {
  scores = {}; // stimulus token -> 0 to 100; absent while the slider was never moved
  comments = {}; // stimulus token -> text
  heardReference = false;
  seconds = 0; // that the page was in view
  submitted = false; // the listener is done; what remains is to reach the server

  #name;
  #forgotten = false;

  constructor(trialKey) {
    this.#name = `earmark:${trialKey}`;
    this.load();
  }

  /** What another tab with the same trial has saved since. */
  load() {
    try {
      Object.assign(this, JSON.parse(localStorage.getItem(this.#name)));
    } catch {
      // Storage is switched off, or holds something else: the draft then lives as long as the page.
    }
  }

  save() {
    if (this.#forgotten) return;
    try {
      localStorage.setItem(this.#name, JSON.stringify(this));
    } catch {
      // As above; a full storage loses nothing either while the page stays open.
    }
  }

  forget() {
    this.#forgotten = true;
    try {
      localStorage.removeItem(this.#name);
    } catch {
      // As above.
    }
  }
}
