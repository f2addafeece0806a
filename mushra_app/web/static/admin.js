// Refreshes the parts of the admin page that are marked data-live, except a part that has the focus.

const INTERVAL = 15_000; // milliseconds

async function fetchPage() {
  const response = await fetch(location.pathname + location.search).catch(() => null);
  if (response === null || !response.ok || response.redirected) return null; // offline, or signed out meanwhile
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

async function refresh() {
  if (document.hidden) return;
  const page = await fetchPage();
  if (page === null) return;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh === null || part.contains(document.activeElement)) continue;
    const scrolled = part.querySelector(".scroll")?.scrollTop;
    part.replaceChildren(...fresh.childNodes);
    if (scrolled) part.querySelector(".scroll").scrollTop = scrolled;
  }
}

if (location.pathname.endsWith("/admin/")) setInterval(refresh, INTERVAL);
