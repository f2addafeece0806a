import assert from "node:assert/strict";
import { test } from "node:test";
import { bandOf, clamped, stepped } from "../../mushra_app/web/static/scale.js";

test("scores stay on the scale", () => {
  assert.deepEqual([-3, 0, 42, 100, 101].map(clamped), [0, 0, 42, 100, 100]);
});

test("the first step puts an unrated slider in the middle, or at an end", () => {
  for (const points of [1, -1, 10, -10]) assert.equal(stepped(undefined, points), 50);
  assert.equal(stepped(undefined, 100), 100);
  assert.equal(stepped(undefined, -100), 0);
});

test("further steps add up, within the scale", () => {
  assert.equal(stepped(0, 1), 1); // rated 0 is not unrated
  assert.equal(stepped(50, -10), 40);
  assert.equal(stepped(95, 10), 100);
  assert.equal(stepped(3, -100), 0);
});

test("bands are 20 points wide; a score on a border belongs to the lower one", () => {
  const bands = { 100: 0, 81: 0, 80: 1, 61: 1, 60: 2, 41: 2, 40: 3, 21: 3, 20: 4, 1: 4, 0: 4 };
  for (const [score, band] of Object.entries(bands)) assert.equal(bandOf(Number(score), 5), band, score);
});
