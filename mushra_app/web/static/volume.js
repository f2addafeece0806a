// The volume page: one looped stimulus. The session can go on once it has played.
import { hasSilentMode, load, openContext, wake, watchOutput } from "./audio.js";
import { notice } from "./page.js";
import { Player } from "./player.js";

const page = document.querySelector("#volume");
const toggle = document.querySelector("#toggle");
const loading = document.querySelector("#loading");

const sampleRate = Number(page.dataset.sampleRate);
const context = openContext(sampleRate);
notice("rate", context.sampleRate !== sampleRate);
notice("mute", hasSilentMode());

try {
  const bar = loading.querySelector("progress");
  const buffers = await load(context, [page.dataset.audio], (fraction) => {
    bar.value = fraction;
  });
  const player = new Player(context, buffers);
  const render = () => toggle.setAttribute("aria-pressed", player.playing && context.state === "running");
  context.addEventListener("statechange", render);
  watchOutput(context, () => {
    player.pause();
    render();
    notice("interrupted", true);
  });
  toggle.addEventListener("click", async () => {
    if (player.playing && context.state === "running") player.pause();
    else player.start();
    notice("interrupted", false);
    const awake = await wake(context);
    render();
    notice("silent", !awake);
    if (awake) document.querySelector("#go").disabled = false;
  });
  loading.hidden = true;
  toggle.disabled = false;
} catch (error) {
  notice(error.notice ?? "load", true);
}
