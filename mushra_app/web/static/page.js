// What the pages with sound share: notices, which the templates word, and the button that reloads.

/** Show or hide the notice `name`; `text` replaces the words of its <span>. */
export function notice(name, shown, text) {
  const element = document.querySelector(`[data-notice="${name}"]`);
  if (text !== undefined) element.querySelector("span").textContent = text;
  element.hidden = !shown;
}

for (const button of document.querySelectorAll("[data-reload]")) {
  button.addEventListener("click", () => location.reload());
}
