// Players whose versions are files beside the page: one sounds at a time, and a switch within a card keeps the place.

/** Show the spectrograms of a version; those of the last one stay while the source, 0, is heard. */
export function showVersion(card, index) {
  if (index === 0) return;
  for (const figure of card.querySelectorAll(".version")) {
    figure.classList.toggle("shown", Number(figure.dataset.version) === index);
  }
}

let last = null;

for (const audio of document.querySelectorAll(".linked audio")) {
  audio.addEventListener("play", () => {
    const card = audio.closest(".linked");
    if (last !== null && last !== audio) {
      last.pause();
      if (card.contains(last)) audio.currentTime = last.currentTime;
    }
    last = audio;
    showVersion(card, Number(audio.dataset.version));
  });
}
