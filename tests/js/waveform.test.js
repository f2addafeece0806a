import assert from "node:assert/strict";
import { test } from "node:test";
import { outline } from "../../mushra_app/web/static/waveform.js";

function bufferOf(...channels) {
  const arrays = channels.map((samples) => Float32Array.from(samples));
  return { numberOfChannels: arrays.length, getChannelData: (channel) => arrays[channel] };
}

test("each column spans its samples, over the peak of the recording; y points down", () => {
  // Pairs (0.25, -0.125) and (0, -0.5), peak 0.5: highest 0.5 and 0, lowest -0.25 and -1, from right to left.
  const path = outline(bufferOf([0.25, -0.125, 0, -0.5]), 2);
  assert.equal(path, "M0.5 -0.500L1.5 0.000L1.5 1.000L0.5 0.250Z");
});

test("columns span the extremes of all channels", () => {
  const path = outline(bufferOf([0.5, 0], [-0.25, 0.25]), 2);
  assert.equal(path, "M0.5 -1.000L1.5 -0.500L1.5 0.000L0.5 0.500Z");
});

test("columns of unequal length: five samples on two columns are two and three", () => {
  const path = outline(bufferOf([1, 1, 0.5, 0.5, 0.5]), 2);
  assert.equal(path, "M0.5 -1.000L1.5 -0.500L1.5 -0.500L0.5 -1.000Z");
});

test("a recording with fewer samples than columns repeats them", () => {
  const path = outline(bufferOf([1, -1]), 4);
  assert.equal(path, "M0.5 -1.000L1.5 -1.000L2.5 1.000L3.5 1.000L3.5 1.000L2.5 1.000L1.5 -1.000L0.5 -1.000Z");
});

test("silence is a line", () => {
  assert.equal(outline(bufferOf([0, 0]), 1), "M0.5 0.000L0.5 0.000Z");
});
