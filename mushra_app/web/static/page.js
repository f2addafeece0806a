// Shared by the pages that play audio: notices, which the templates contain, and the buttons that reload the page.

/**
 * Show or hide a notice.
 *
 * @param {string} name value of its data-notice
 * @param {boolean} shown
 * @param {string} [text] replaces the text of its <span>
 */
export function notice(name, shown, text) {
  const element = document.querySelector(`[data-notice="${name}"]`);
  if (text !== undefined) element.querySelector("span").textContent = text;
  element.hidden = !shown;
}

for (const button of document.querySelectorAll("[data-reload]")) {
  button.addEventListener("click", () => location.reload());
}
