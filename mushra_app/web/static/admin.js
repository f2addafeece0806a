// The parts of the admin page that change by themselves: fetched anew every while, unless somebody is using them.

const EVERY = 15_000;

async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.pathname).catch(() => null);
  if (response === null || !response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh === null || part.contains(document.activeElement)) continue;
    const scrolled = part.querySelector(".scroll")?.scrollTop;
    part.replaceChildren(...fresh.childNodes);
    if (scrolled) part.querySelector(".scroll").scrollTop = scrolled;
  }
}

if (location.pathname.endsWith("/admin/")) setInterval(refresh, EVERY);
