// Players whose clips are files beside the page. One plays at a time; a switch within a card keeps the position.
import { showVersion } from "#versions";

let last = null; // the <audio> that played last

/** Pause the last player, and continue at its position if it belongs to the same card. */
function takeOver(audio) {
  const card = audio.closest(".linked");
  if (last !== null && last !== audio) {
    last.pause();
    if (card.contains(last)) audio.currentTime = last.currentTime;
  }
  last = audio;
  showVersion(card, Number(audio.dataset.version));
}

for (const audio of document.querySelectorAll(".linked audio")) {
  audio.addEventListener("play", () => takeOver(audio));
}
