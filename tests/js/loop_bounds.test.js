import assert from "node:assert/strict";
import { test } from "node:test";
import { LoopBounds } from "../../mushra_app/web/static/loop_bounds.js";

const DURATION = 4;
const SHORTEST = 0.5;

function check(bounds, start, end) {
  assert.deepEqual([bounds.start, bounds.end], [start, end]);
}

test("nothing is chosen at first", () => {
  const bounds = new LoopBounds(DURATION, SHORTEST);
  assert.equal(bounds.chosen, false);
  bounds.chooseBefore(2);
  assert.equal(bounds.chosen, true);
});

test("the first region is the second just heard, within the recording", () => {
  for (const [position, start, end] of [
    [2.5, 1.5, 2.5],
    [0.25, 0, 1],
    [4, 3, 4],
  ]) {
    const bounds = new LoopBounds(DURATION, SHORTEST);
    bounds.chooseBefore(position);
    check(bounds, start, end);
  }
});

test("the first region of a recording under one second is all of it", () => {
  const bounds = new LoopBounds(0.75, SHORTEST);
  bounds.chooseBefore(0.5);
  check(bounds, 0, 0.75);
});

test("a region is drawn in either direction", () => {
  const bounds = new LoopBounds(DURATION, SHORTEST);
  bounds.choose(1, 3);
  check(bounds, 1, 3);
  bounds.choose(2.5, 0.5);
  check(bounds, 0.5, 2.5);
});

test("a region that is too short is extended to the right, at the end to the left", () => {
  const bounds = new LoopBounds(DURATION, SHORTEST);
  bounds.choose(1, 1.25);
  check(bounds, 1, 1.5);
  bounds.choose(3.75, 4);
  check(bounds, 3.5, 4);
});

test("a recording shorter than the shortest loop is one region", () => {
  const bounds = new LoopBounds(0.25, SHORTEST);
  bounds.choose(0.125, 0.1875);
  check(bounds, 0, 0.25);
});

test("a shift keeps the length and stops at the ends of the recording", () => {
  const bounds = new LoopBounds(DURATION, SHORTEST);
  const before = { start: 1, end: 2.5 };
  bounds.shift(before, 0.5);
  check(bounds, 1.5, 3);
  bounds.shift(before, 9);
  check(bounds, 2.5, 4);
  bounds.shift(before, -9);
  check(bounds, 0, 1.5);
});

test("a bound moves up to the shortest loop from the other, and within the recording", () => {
  const bounds = new LoopBounds(DURATION, SHORTEST);
  bounds.choose(1, 2);
  bounds.move("start", 1.75);
  check(bounds, 1.5, 2);
  bounds.move("start", -1);
  check(bounds, 0, 2);
  bounds.move("end", 0.125);
  check(bounds, 0, 0.5);
  bounds.move("end", 5);
  check(bounds, 0, 4);
});
