// The headphone check: six rows, each with three intervals in one audio file. Rows play in turn, and once each.
import { load, openContext, wake, watchOutput } from "./audio.js";
import { notice } from "./page.js";

const form = document.querySelector("#headphones");
const interval = Number(form.dataset.interval); // seconds
const gap = Number(form.dataset.gap); // seconds between two intervals
const loading = document.querySelector("#loading");
const rows = [...document.querySelectorAll(".round")].map((element) => ({
  element,
  button: element.querySelector("button"),
  answers: [...element.querySelectorAll("input")],
}));

const context = openContext(Number(form.dataset.sampleRate));

let interrupt = () => {}; // ends the row that plays
watchOutput(context, () => interrupt());

/**
 * Play a row and mark the interval that plays. Ends by the audio clock, since the "ended" event may come late.
 *
 * @returns {Promise<boolean>} whether the row played to its end; false if a call or another output device stopped it
 */
function play(buffer, answers) {
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  const started = context.currentTime;
  source.start();
  return new Promise((resolve) => {
    const end = (whole) => {
      clearInterval(timer);
      interrupt = () => {};
      for (const answer of answers) answer.parentElement.classList.remove("sounding");
      resolve(whole);
    };
    interrupt = () => {
      source.stop();
      end(false);
    };
    const timer = setInterval(() => {
      const elapsed = context.currentTime - started;
      answers.forEach((answer, k) => {
        const since = elapsed - k * (interval + gap);
        answer.parentElement.classList.toggle("sounding", since >= 0 && since < interval);
      });
      if (elapsed >= buffer.duration) end(true);
    }, 30);
  });
}

/** Connect row `k`: its button plays `buffer`, then it can be answered, and an answer enables the next row. */
function prepare(row, k, buffer) {
  row.button.addEventListener("click", async () => {
    row.button.disabled = true;
    const awake = await wake(context);
    notice("silent", !awake);
    const played = awake && (await play(buffer, row.answers));
    notice("interrupted", awake && !played);
    if (!played) {
      row.button.disabled = false;
      return;
    }
    for (const answer of row.answers) answer.disabled = false;
    row.answers[0].focus({ preventScroll: true, focusVisible: false });
  });
  for (const answer of row.answers) {
    answer.addEventListener("change", () => {
      const next = rows[k + 1];
      if (next === undefined) document.querySelector("#go").disabled = false;
      else if (next.answers[0].disabled) next.button.disabled = false;
    });
  }
}

try {
  const bar = loading.querySelector("progress");
  const urls = rows.map(({ element }) => element.dataset.audio);
  const buffers = await load(context, urls, (fraction) => {
    bar.value = fraction;
  });
  for (const [k, row] of rows.entries()) prepare(row, k, buffers[k]);
  loading.hidden = true;
  rows[0].button.disabled = false;
} catch (error) {
  notice(error.notice ?? "load", true);
}
