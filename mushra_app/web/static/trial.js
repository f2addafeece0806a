// One trial: play, rate, send. The page is drawn from player, region and draft by render(); the words are the template's.
import { load, openContext, wake } from "./audio.js";
import { Draft } from "./draft.js";
import { listenToKeys } from "./keys.js";
import { notice } from "./page.js";
import { Player } from "./player.js";
import { LoopRegion } from "./region.js";
import { send } from "./send.js";
import { outline } from "./waveform.js";

const MIDDLE = 50; // where the first key puts a slider, unless it leads to an end
const COLUMNS = 600; // of the waveform

const find = (selector, within = document) => within.querySelector(selector);
const trial = find("#trial");
const reference = find("#reference");
const comment = find("#comment"); // null where the study asks for none
const next = find("#next");
const waveform = find("#region");
const bands = [...document.querySelectorAll(".bands span")].map((element) => element.textContent);
const sounds = [...document.querySelectorAll(".condition")].map((element) => ({
  element,
  token: element.dataset.stimulus,
  slider: find("input", element),
  button: find("button", element),
  score: find(".score", element),
}));
const language = document.documentElement.lang;
const enumerate = new Intl.ListFormat(language, { type: "unit" });
const decimal = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const draft = new Draft(trial.dataset.key);
const sampleRate = Number(trial.dataset.sampleRate);
const context = openContext(sampleRate);
let countedTo = performance.now(); // draft.seconds covers the time until here
let player = null; // condition 0 is the reference, k is sounds[k - 1]
let region = null;

const ready = () => trial.dataset.state === "ready"; // not "loading", "sending" or "stored"
const playing = () => player !== null && player.playing && context.state === "running";
const current = () => (player === null ? undefined : sounds[player.index - 1]);
const unrated = () => sounds.filter((sound) => !(sound.token in draft.scores));

function render() {
  const now = playing() ? player.index : null;
  if (now === 0) draft.heardReference = true;
  trial.classList.toggle("sounding", now !== null);
  for (const button of document.querySelectorAll(".transport button, .timeline button, .play")) button.disabled = !ready();
  reference.setAttribute("aria-pressed", now === 0);
  sounds.forEach((sound, k) => renderSound(sound, now === k + 1));
  const silence = trial.dataset.state === "loading" ? "loading" : "nothing";
  show("now", now === null ? silence : now === 0 ? "reference" : "sound", now);
  if (region !== null) renderRegion();
  if (comment !== null) renderComment();

  const missing = unrated();
  const complete = missing.length === 0 && draft.heardReference;
  find('[data-todo="reference"]').hidden = draft.heardReference;
  find('[data-todo="rate"]').hidden = missing.length === 0;
  find('[data-todo="rate"] b').textContent = enumerate.format(missing.map((sound) => `${sounds.indexOf(sound) + 1}`));
  find('[data-todo="done"]').hidden = !complete;
  next.disabled = !complete || !ready();
}

function renderSound(sound, sounding) {
  const score = draft.scores[sound.token];
  const rated = score !== undefined;
  sound.element.classList.toggle("playing", sounding);
  sound.element.classList.toggle("selected", current() === sound);
  sound.element.classList.toggle("rated", rated);
  sound.button.setAttribute("aria-pressed", sounding);
  sound.slider.disabled = !sounding || !ready();
  if (rated) sound.slider.value = score;
  const band = bands[Math.min(bands.length - 1, Math.floor(((100 - score) / 100) * bands.length))];
  sound.slider.setAttribute("aria-valuetext", rated ? enumerate.format([`${score}`, band]) : sound.slider.dataset.unrated);
  sound.score.textContent = rated ? score : "";
}

function renderRegion() {
  find("#loop").setAttribute("aria-pressed", region.on);
  show("loop", region.on ? "on" : "off");
  find("#loop-start").textContent = decimal.format(region.start);
  find("#loop-end").textContent = decimal.format(region.end);
}

function renderComment() {
  const sound = current();
  show("comment", sound ? "sound" : "none", player?.index);
  comment.disabled = !sound || !ready();
  comment.value = draft.comments[sound?.token] ?? "";
}

/** Of the alternatives [data-<kind>] show the one called `name`, with `number` in its <b>. */
function show(kind, name, number) {
  for (const element of document.querySelectorAll(`[data-${kind}]`)) {
    element.hidden = element.getAttribute(`data-${kind}`) !== name;
    if (!element.hidden && number !== undefined && find("b", element)) find("b", element).textContent = number;
  }
}

async function listen(index) {
  player.select(index);
  player.start();
  await soundOrExplain();
  if (player.index === index) focusSlider();
}

async function toggle() {
  if (player.playing) {
    // The slider that pauses loses the focus: whoever had it there finds it on the button that goes on.
    if (document.activeElement === current()?.slider) find("#toggle").focus({ preventScroll: true });
    player.pause();
    await soundOrExplain();
  } else {
    player.start();
    await soundOrExplain();
    focusSlider();
  }
}

async function restart() {
  player.restart();
  player.start();
  await soundOrExplain();
}

async function soundOrExplain() {
  render();
  notice("silent", !(await wake(context)));
  render();
  draft.save();
}

function focusSlider() {
  current()?.slider.focus({ preventScroll: true });
}

function rate(sound, score) {
  draft.scores[sound.token] = Math.max(0, Math.min(100, score));
  draft.save();
  render();
}

const keys = {
  listen: (index) => index <= sounds.length && ready() && void listen(index),
  toggle: () => ready() && void toggle(),
  restart: () => ready() && void restart(),
  loop: () => ready() && region.toggle(player.position),
  help: () => find("#help").showModal(),
  step(points) {
    const sound = current();
    if (!ready() || sound === undefined) return false; // the page may scroll
    if (!playing()) return true;
    const score = draft.scores[sound.token];
    if (score === undefined && Math.abs(points) < 100) rate(sound, MIDDLE);
    else rate(sound, (score ?? MIDDLE) + points);
    return true;
  },
};

async function submit() {
  if (trial.dataset.state === "sending") return;
  trial.dataset.state = "sending";
  notice("refused", false);
  player?.pause();
  draft.submitted = true;
  countSeconds();
  render();
  const ratings = sounds.map(({ token }) => ({
    stimulus: token,
    score: draft.scores[token],
    comment: draft.comments[token] ?? "",
  }));
  const body = { token: trial.dataset.token, seconds: draft.seconds, ratings };
  const { status, answer } = await send(trial.dataset.submit, body, () => notice("unsent", true));
  notice("unsent", false);
  if (status === 200) {
    draft.forget();
    location.assign(answer.next);
  } else if (status === 409) {
    draft.forget();
    trial.dataset.state = "stored";
    render();
    notice("elsewhere", true);
  } else {
    draft.submitted = false;
    draft.save();
    trial.dataset.state = "ready";
    notice("refused", true, answer.error);
    render();
  }
}

function countSeconds() {
  const now = performance.now();
  const passed = Math.min(now - countedTo, 2000) / 1000; // no more after a sleep
  countedTo = now;
  if (document.hidden) return; // nor is anything saved, for the trial may be going on in another tab
  draft.seconds += passed;
  draft.save();
}

function movePlayhead() {
  waveform.style.setProperty("--position", player.position / player.duration);
  requestAnimationFrame(movePlayhead);
}

function listenToThePage() {
  reference.addEventListener("click", () => listen(0));
  find("#toggle").addEventListener("click", toggle);
  find("#restart").addEventListener("click", restart);
  find("#loop").addEventListener("click", keys.loop);
  next.addEventListener("click", submit);
  sounds.forEach((sound, k) => {
    sound.button.addEventListener("click", () => listen(k + 1));
    // A click on the track of a sound that does not play, plays it: only what is heard can be rated.
    find(".rail", sound.element).addEventListener("click", (event) => {
      if (!ready()) return;
      if (sound.slider.disabled) listen(k + 1);
      else if (event.target === sound.slider) rate(sound, sound.slider.valueAsNumber); // "input" misses a click on 50
    });
    sound.slider.addEventListener("input", () => rate(sound, sound.slider.valueAsNumber));
  });
  comment?.addEventListener("input", () => {
    draft.comments[current().token] = comment.value;
    draft.save();
  });
  comment?.addEventListener("keydown", ({ key }) => {
    if (key === "Enter" || key === "Escape") focusSlider();
  });
  region.addEventListener("change", () => {
    if (region.on) player.loop(region.start, region.end);
    else player.loop(0, player.duration);
    render();
  });
  // After a click the space bar is for play and pause again, not for the button that was clicked.
  document.addEventListener("click", ({ detail, target }) => detail > 0 && target.closest("button")?.blur());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !ready()) return;
    draft.load();
    render();
  });
  context.addEventListener("statechange", render);
}

async function open() {
  listenToKeys(keys);
  find("#show-help").addEventListener("click", keys.help);
  notice("rate", context.sampleRate !== sampleRate);
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload()); // by the Back button: not the open trial
  if (draft.submitted) {
    submit();
    return;
  }
  try {
    const urls = [reference, ...sounds.map((sound) => sound.element)].map((element) => element.dataset.audio);
    const bar = find("#loading progress");
    const buffers = await load(context, urls, (fraction) => (bar.value = fraction));
    player = new Player(context, buffers);
    player.loop(0, player.duration); // with faded edges, so that no recording clicks where it closes
    find("path", waveform).setAttribute("d", outline(buffers[0], COLUMNS));
  } catch {
    find("#loading").hidden = true;
    notice("load", true);
    return;
  }
  region = new LoopRegion(waveform, player.duration);
  trial.dataset.state = "ready";
  listenToThePage();
  countedTo = performance.now();
  setInterval(countSeconds, 1000);
  movePlayhead();
  render();
}

open();
