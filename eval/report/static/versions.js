// The spectrograms of a card: those of the source stay, those of one coded version stand beside them.

/**
 * Show the spectrograms of version `index`. Version 0, the source, leaves those of the last coded version in place.
 *
 * @param {HTMLElement} card
 * @param {number} index
 */
export function showVersion(card, index) {
  if (index === 0) return;
  for (const figure of card.querySelectorAll(".version")) {
    figure.classList.toggle("shown", Number(figure.dataset.version) === index);
  }
}
