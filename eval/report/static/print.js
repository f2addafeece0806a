// On paper nothing can be unfolded: all that is folded is opened for as long as a page is printed.

let opened = [];

addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((details) => (details.open = true));
});

addEventListener("afterprint", () => {
  opened.forEach((details) => (details.open = false));
  opened = [];
});
