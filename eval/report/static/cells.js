// The order of table cells: numbers by value, texts in natural order, empty cells first.

/**
 * Sort key of a cell: its leading number (after an optional "<" or "+"), otherwise its text; -Infinity if it is empty
 * or a dash.
 *
 * @param {string} content the cell's text, with "−" or "-" as minus sign and "," between thousands
 * @returns {number | string}
 */
export function sortKey(content) {
  const text = content.trim().replaceAll("−", "-").replaceAll(",", "");
  const number = text.match(/^[<+]?(-?\d+(?:\.\d+)?)/);
  if (number) return Number(number[1]);
  return text === "–" || text === "" ? -Infinity : text;
}

/** Comparison of two sort keys for Array.sort. A number and a text compare as texts. */
export function compareKeys(a, b) {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
