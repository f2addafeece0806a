// The volume page: one looped stimulus. The session can go on once it has played.
import { load, openContext, wake } from "./audio.js";
import { notice } from "./page.js";
import { Player } from "./player.js";

const page = document.querySelector("#volume");
const toggle = document.querySelector("#toggle");
const loading = document.querySelector("#loading");

const sampleRate = Number(page.dataset.sampleRate);
const context = openContext(sampleRate);
notice("rate", context.sampleRate !== sampleRate);

try {
  const bar = loading.querySelector("progress");
  const buffers = await load(context, [page.dataset.audio], (fraction) => {
    bar.value = fraction;
  });
  const player = new Player(context, buffers);
  toggle.addEventListener("click", async () => {
    if (player.playing) player.pause();
    else player.start();
    toggle.setAttribute("aria-pressed", player.playing);
    const awake = await wake(context);
    notice("silent", !awake);
    if (awake) document.querySelector("#go").disabled = false;
  });
  loading.hidden = true;
  toggle.disabled = false;
} catch {
  notice("load", true);
}
