// One trial: play, rate, send. The page is drawn from the player and the draft by render(); the words are the template's.
import { load, openContext, wake } from "./audio.js";
import { Draft } from "./draft.js";
import { notice } from "./page.js";
import { Player } from "./player.js";
import { send } from "./send.js";

const MIDDLE = 50; // where the keyboard first puts a slider
const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -100, End: 100 };

const find = (selector, within = document) => within.querySelector(selector);
const trial = find("#trial");
const reference = find("#reference");
const comment = find("#comment");
const next = find("#next");
const sounds = [...document.querySelectorAll(".condition")].map((element) => ({
  element,
  token: element.dataset.stimulus,
  slider: find("input", element),
  button: find("button", element),
  score: find(".score", element),
}));

const draft = new Draft(trial.dataset.key);
const sampleRate = Number(trial.dataset.sampleRate);
const context = openContext(sampleRate);
let countedTo = performance.now(); // draft.seconds covers the time until here
let player = null; // condition 0 is the reference, k is sounds[k - 1]

const ready = () => trial.dataset.state === "ready"; // not "loading", "sending" or "stored"
const playing = () => player !== null && player.playing && context.state === "running";
const current = () => (player === null ? undefined : sounds[player.index - 1]);
const unrated = () => sounds.filter((sound) => !(sound.token in draft.scores));

function render() {
  const now = playing() ? player.index : null;
  if (now === 0) draft.heardReference = true;
  for (const button of document.querySelectorAll(".transport button, .play")) button.disabled = !ready();
  reference.setAttribute("aria-pressed", now === 0);
  sounds.forEach((sound, k) => {
    const score = draft.scores[sound.token];
    const rated = score !== undefined;
    sound.element.classList.toggle("playing", now === k + 1);
    sound.element.classList.toggle("selected", current() === sound);
    sound.element.classList.toggle("rated", rated);
    sound.button.setAttribute("aria-pressed", now === k + 1);
    sound.slider.disabled = now !== k + 1;
    if (rated) sound.slider.value = score;
    sound.slider.setAttribute("aria-valuetext", rated ? score : sound.slider.dataset.unrated);
    sound.score.textContent = rated ? score : "–";
  });
  trial.classList.toggle("sounding", now !== null);
  show("now", now === null ? "nothing" : now === 0 ? "reference" : "sound", now);

  const commented = current();
  show("comment", commented ? "sound" : "none", player?.index);
  comment.disabled = !commented;
  comment.value = draft.comments[commented?.token] ?? "";

  const missing = unrated();
  const complete = missing.length === 0 && draft.heardReference;
  find('[data-todo="reference"]').hidden = draft.heardReference;
  find('[data-todo="rate"]').hidden = missing.length === 0;
  find('[data-todo="rate"] b').textContent = missing.map((sound) => sounds.indexOf(sound) + 1).join(", ");
  find('[data-todo="done"]').hidden = !complete;
  next.disabled = !complete || !ready();
}

/** Of the alternatives [data-<kind>] show the one called `name`, with `number` in its <b>. */
function show(kind, name, number) {
  for (const element of document.querySelectorAll(`[data-${kind}]`)) {
    element.hidden = element.getAttribute(`data-${kind}`) !== name;
    if (!element.hidden && find("b", element)) find("b", element).textContent = number;
  }
}

async function listen(index) {
  player.select(index);
  player.start();
  await soundOrExplain();
  if (player.index === index) sounds[index - 1]?.slider.focus({ preventScroll: true });
}

async function toggle() {
  if (player.playing) player.pause();
  else player.start();
  await soundOrExplain();
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

function rate(sound, score) {
  draft.scores[sound.token] = Math.max(0, Math.min(100, score));
  draft.save();
  render();
}

function onKey(event) {
  if (!ready() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input[type=text], a, #next, .notices")) return; // these have their own use for keys
  // By its place where the layout needs Shift for a digit, as the French one does.
  const digit = /^[1-9]$/.test(event.key) ? event.key : /^Digit([1-9])$/.exec(event.code)?.[1];
  if (digit !== undefined && digit <= sounds.length) {
    if (!event.repeat) listen(Number(digit));
  } else if (event.key.toLowerCase() === "r") {
    if (!event.repeat) listen(0);
  } else if (event.key === " ") {
    if (!event.repeat) toggle();
  } else if (event.key in STEPS && current() !== undefined) {
    if (playing()) {
      const score = draft.scores[current().token];
      rate(current(), score === undefined ? MIDDLE : score + STEPS[event.key]);
    }
  } else {
    return;
  }
  event.preventDefault();
}

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
  if (!document.hidden) draft.seconds += Math.min(now - countedTo, 2000) / 1000; // no more after a sleep
  countedTo = now;
  draft.save();
}

function movePlayhead() {
  if (player.playing) find(".playhead i").style.setProperty("--position", player.position / player.duration);
  requestAnimationFrame(movePlayhead);
}

function listenToThePage() {
  reference.addEventListener("click", () => listen(0));
  find("#toggle").addEventListener("click", toggle);
  find("#restart").addEventListener("click", restart);
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
  comment.addEventListener("input", () => {
    draft.comments[current().token] = comment.value;
    draft.save();
  });
  document.addEventListener("keydown", onKey);
  context.addEventListener("statechange", render);
}

async function open() {
  notice("rate", context.sampleRate !== sampleRate);
  if (draft.submitted) {
    render();
    submit();
    return;
  }
  try {
    const urls = [reference, ...sounds.map((sound) => sound.element)].map((element) => element.dataset.audio);
    const bar = find("#loading progress");
    player = new Player(context, await load(context, urls, (fraction) => (bar.value = fraction)));
  } catch {
    notice("load", true);
    return;
  }
  trial.dataset.state = "ready";
  listenToThePage();
  countedTo = performance.now();
  setInterval(countSeconds, 1000);
  movePlayhead();
  render();
}

open();
