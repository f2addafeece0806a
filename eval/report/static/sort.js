// Sortable tables: a click on a heading sorts each block of rows by that column; another click reverses the order.
import { compareKeys, sortKey } from "#cells";

function sort(table, column, descending) {
  const sign = descending ? -1 : 1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("category"));
    const keys = new Map(rows.map((row) => [row, sortKey(row.cells[column].textContent)]));
    rows.sort((a, b) => sign * compareKeys(keys.get(a), keys.get(b)));
    body.append(...rows);
  }
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  for (const [column, heading] of headings.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") !== "descending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  }
}

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
