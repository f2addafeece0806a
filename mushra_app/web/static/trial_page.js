// What the trial page shows. The template contains all texts; this module chooses among them and fills in numbers.
import { bandOf } from "./scale.js";

const find = (selector, within = document) => within.querySelector(selector);

/**
 * Whether sliders can stand with the highest value on top: Chrome 124, Firefox 120, Safari 17.4. Chrome 119 to 123 let
 * them stand upside down; the method came with Chrome 124 too.
 */
function slidersCanStand() {
  const slider = document.createElement("input");
  slider.type = "range";
  slider.style.writingMode = "vertical-lr";
  document.body.append(slider);
  const stands = slider.offsetHeight > slider.offsetWidth;
  slider.remove();
  return stands && "setHTMLUnsafe" in Element.prototype;
}

export class TrialPage {
  root = find("#trial");
  reference = find("#reference");
  toggle = find("#toggle");
  restart = find("#restart");
  loop = find("#loop");
  waveform = find("#region");
  comment = find("#comment"); // null if the study has no comments
  next = find("#next");
  help = find("#help");
  showHelp = find("#show-help");
  loading = find("#loading");
  conditions = [...document.querySelectorAll(".condition")].map((element) => ({
    element,
    token: element.dataset.stimulus,
    rail: find(".rail", element),
    slider: find("input", element),
    button: find("button", element),
    score: find(".score", element),
  }));

  #bands = [...document.querySelectorAll(".bands span")].map((element) => element.textContent);
  #buttons = document.querySelectorAll(".transport button, .timeline button, .play");
  #list;
  #decimal;

  constructor() {
    const language = `${document.documentElement.lang}-u-nu-latn`; // the digits of the scale and the keys
    this.#list = new Intl.ListFormat(language, { style: "narrow" }); // lists of units have no commas in Chinese
    if (!slidersCanStand()) find("#lying").media = "all";
    const transport = find(".transport");
    const measure = () => this.root.style.setProperty("--transport", `${transport.offsetHeight}px`);
    new ResizeObserver(measure).observe(transport); // the labels of the scale stay below it
    this.#decimal = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  }

  /** "loading", "ready", "sending", or "stored" if the server already has the trial. */
  get state() {
    return this.root.dataset.state;
  }

  set state(name) {
    this.root.dataset.state = name;
  }

  get ready() {
    return this.state === "ready";
  }

  /** URLs of the reference and of all conditions. */
  get urls() {
    return [this.reference, ...this.conditions.map(({ element }) => element)].map((element) => element.dataset.audio);
  }

  showProgress(fraction) {
    find("progress", this.loading).value = fraction;
  }

  drawWaveform(path) {
    find("path", this.waveform).setAttribute("d", path);
  }

  /** Move the playhead to a fraction of the recording. */
  movePlayhead(fraction) {
    this.waveform.style.setProperty("--position", fraction);
  }

  /**
   * @param {object} state
   * @param {import("./draft.js").Draft} state.draft
   * @param {number | undefined} state.selected 0: the reference, k: condition k; undefined before the stimuli are loaded
   * @param {boolean} state.playing
   * @param {import("./region.js").LoopRegion | null} state.region
   */
  render({ draft, selected, playing, region }) {
    this.root.classList.toggle("sounding", playing);
    for (const button of this.#buttons) button.disabled = !this.ready;
    this.reference.setAttribute("aria-pressed", playing && selected === 0);
    for (const [k, condition] of this.conditions.entries()) {
      const isSelected = selected === k + 1;
      this.#renderCondition(condition, draft.scores[condition.token], isSelected, isSelected && playing);
    }
    this.#renderNow(selected, playing);
    if (region !== null) this.#renderRegion(region);
    if (this.comment !== null) this.#renderComment(draft, selected);
    this.#renderTasks(draft);
  }

  #renderCondition({ element, button, slider, score: text }, score, selected, playing) {
    const rated = score !== undefined;
    element.classList.toggle("playing", playing);
    element.classList.toggle("selected", selected);
    element.classList.toggle("rated", rated);
    button.setAttribute("aria-pressed", playing);
    slider.disabled = !playing || !this.ready;
    if (rated) slider.value = score;
    slider.setAttribute("aria-valuetext", rated ? this.#speak(score) : slider.dataset.unrated);
    text.textContent = rated ? score : "";
  }

  /** Score and label of its band, for screen readers. */
  #speak(score) {
    return `${score}, ${this.#bands[bandOf(score, this.#bands.length)]}`;
  }

  #renderNow(selected, playing) {
    if (!playing) this.#choose("now", this.state === "loading" ? "loading" : "nothing");
    else if (selected === 0) this.#choose("now", "reference");
    else this.#choose("now", "condition", selected);
  }

  #renderRegion(region) {
    this.loop.setAttribute("aria-pressed", region.on);
    this.#choose("loop", region.on ? "on" : "off");
    find("#loop-start").textContent = this.#decimal.format(region.start);
    find("#loop-end").textContent = this.#decimal.format(region.end);
  }

  #renderComment(draft, selected) {
    const condition = this.conditions[selected - 1];
    this.#choose("comment", condition ? "condition" : "none", selected);
    this.comment.disabled = !condition || !this.ready;
    this.comment.value = draft.comments[condition?.token] ?? "";
  }

  #renderTasks(draft) {
    const unrated = this.conditions.filter(({ token }) => !(token in draft.scores));
    const complete = unrated.length === 0 && draft.heardReference;
    find('[data-todo="reference"]').hidden = draft.heardReference;
    find('[data-todo="rate"]').hidden = unrated.length === 0;
    find('[data-todo="rate"] b').textContent = this.#list.format(
      unrated.map((condition) => `${this.conditions.indexOf(condition) + 1}`),
    );
    find('[data-todo="done"]').hidden = !complete;
    this.next.disabled = !complete || !this.ready;
  }

  /** Among the alternatives data-<group>, show the one called `name`, with `number` in its <b>. */
  #choose(group, name, number) {
    for (const element of document.querySelectorAll(`[data-${group}]`)) {
      element.hidden = element.getAttribute(`data-${group}`) !== name;
      const slot = find("b", element);
      if (!element.hidden && number !== undefined && slot) slot.textContent = number;
    }
  }
}
