// Links from a table to a player: the version that the row is about is chosen there.

for (const link of document.querySelectorAll("a[data-version]")) {
  link.addEventListener("click", () => {
    const card = document.getElementById(link.hash.slice(1));
    const version = Number(link.dataset.version);
    card.querySelectorAll("input[type=radio]")[version]?.click();
    card.querySelectorAll("audio")[version]?.focus({ preventScroll: true });
  });
}
