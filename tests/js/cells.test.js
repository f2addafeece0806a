import assert from "node:assert/strict";
import { test } from "node:test";
import { compareKeys, sortKey } from "../../eval/report/static/cells.js";

function sorted(...cells) {
  return cells
    .map((cell) => [sortKey(cell), cell])
    .sort(([a], [b]) => compareKeys(a, b))
    .map(([, cell]) => cell);
}

test("cells sort by their leading number", () => {
  assert.equal(sortKey(" 3.25 ± 0.10 (12)"), 3.25);
  assert.equal(sortKey("1,234.5"), 1234.5);
  assert.equal(sortKey("−0.5"), -0.5); // with a minus sign, U+2212
  assert.equal(sortKey("+2.0"), 2);
  assert.equal(sortKey("<0.001"), 0.001);
  assert.deepEqual(sorted("10 ×", "9 ×", "−1 ×"), ["−1 ×", "9 ×", "10 ×"]);
});

test("dashes and empty cells sort before all numbers", () => {
  assert.equal(sortKey("–"), -Infinity);
  assert.deepEqual(sorted("0", "–", "−99", ""), ["–", "", "−99", "0"]);
});

test("texts sort in natural order", () => {
  assert.deepEqual(sorted("opus@12", "mp3@64", "opus@6"), ["mp3@64", "opus@6", "opus@12"]);
});
