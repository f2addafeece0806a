// Tables that sort: a click on a heading orders the rows of each block by that column, another click turns them round.

/** The first number of a cell, or its text where it has none; a dash stands below everything. */
function keyOf(cell) {
  const text = cell.textContent.trim().replaceAll("−", "-").replaceAll(",", "");
  const number = text.match(/^[<+]?(-?\d+(?:\.\d+)?)/);
  if (number) return Number(number[1]);
  return text === "–" || text === "" ? -Infinity : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sort(table, column, descending) {
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("category"));
    const keys = new Map(rows.map((row) => [row, keyOf(row.cells[column])]));
    rows.sort((a, b) => compare(keys.get(a), keys.get(b)) * (descending ? -1 : 1));
    body.append(...rows);
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") !== "descending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  });
}
