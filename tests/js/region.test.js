import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { LoopRegion } from "../../mushra_app/web/static/region.js";

/** An element as far as LoopRegion uses one. */
class Element extends EventTarget {
  dataset = {};
  attributes = {};
  style = { setProperty: (name, value) => (this.attributes[name] = value) };
  classList = { toggle: (name, on) => (this.attributes[name] = on) };
  setAttribute = (name, value) => (this.attributes[name] = value);
  setPointerCapture = () => {};

  emit(type, properties = {}) {
    const event = new Event(type);
    for (const [name, value] of Object.entries(properties)) Object.defineProperty(event, name, { value });
    this.dispatchEvent(event);
  }
}

let waveform;
let sliders;
let region;
let changes; // [on, start, end] at each "change" event

// 400 pixels from x = 100 show 4 s, so that 100 pixels are 1 s.
beforeEach(() => {
  globalThis.document = { documentElement: { lang: "en" } };
  sliders = Object.fromEntries(["start", "end"].map((edge) => [edge, new Element()]));
  for (const [edge, slider] of Object.entries(sliders)) Object.assign(slider, { step: "0.05", dataset: { edge } });
  waveform = new Element();
  waveform.querySelectorAll = () => Object.values(sliders);
  waveform.getBoundingClientRect = () => ({ left: 100, width: 400 });
  region = new LoopRegion(waveform, 4, 0.5);
  changes = [];
  region.addEventListener("change", () => changes.push([region.on, region.start, region.end]));
});

function drag(from, to, { grip, finish = "pointerup" } = {}) {
  const target = { dataset: grip ? { grip } : {} };
  waveform.emit("pointerdown", { button: 0, clientX: from, pointerId: 1, target });
  waveform.emit("pointermove", { clientX: to });
  waveform.emit(finish);
}

test("a drag draws a region and turns the loop on", () => {
  drag(200, 350);
  assert.deepEqual(changes, [[true, 1, 2.5]]);
  assert.equal(waveform.attributes.looping, true);
  assert.equal(waveform.attributes["--start"], 0.25);
  assert.equal(waveform.attributes["--end"], 0.625);
});

test("a pointer that leaves the waveform stays at its edge", () => {
  drag(300, 900);
  assert.deepEqual(changes, [[true, 2, 4]]);
});

test("up to four pixels are a click, which draws nothing", () => {
  drag(200, 204);
  assert.deepEqual(changes, []);
  drag(200, 205);
  assert.deepEqual(changes, [[true, 1, 1.5]]);
});

test("other buttons than the left one draw nothing", () => {
  waveform.emit("pointerdown", { button: 2, clientX: 200 });
  waveform.emit("pointermove", { clientX: 300 });
  waveform.emit("pointerup");
  assert.deepEqual(changes, []);
});

test("the region and its ends can be dragged", () => {
  drag(200, 350);
  drag(300, 350, { grip: "both" });
  assert.deepEqual(changes.at(-1), [true, 1.5, 3]);
  drag(250, 200, { grip: "start" });
  assert.deepEqual(changes.at(-1), [true, 1, 3]);
  drag(400, 450, { grip: "end" });
  assert.deepEqual(changes.at(-1), [true, 1, 3.5]);
});

test("a cancelled drag restores the region", () => {
  drag(200, 350);
  drag(400, 450, { finish: "pointercancel" });
  assert.deepEqual([region.on, region.start, region.end], [true, 1, 2.5]);
  assert.equal(changes.length, 1);
  assert.equal(waveform.attributes["--start"], 0.25);
});

test("a cancelled first drag leaves the loop off", () => {
  drag(200, 350, { finish: "pointercancel" });
  assert.deepEqual([region.on, region.start, region.end], [false, 0, 0]);
  assert.equal(waveform.attributes.looping, false);
});

test("toggle chooses the second just heard, once", () => {
  region.toggle(3);
  region.toggle(1);
  region.toggle(1);
  assert.deepEqual(changes, [
    [true, 2, 3],
    [false, 2, 3],
    [true, 2, 3],
  ]);
});

test("sliders are enabled while the loop is on, and speak their time", () => {
  assert.equal(sliders.start.disabled, true);
  region.toggle(2.25);
  assert.equal(sliders.start.disabled, false);
  assert.equal(sliders.end.value, 2.25);
  assert.equal(sliders.end.attributes["aria-valuetext"], "2.25 seconds");
});

test("a slider takes effect once the keys have rested for 250 ms", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  region.toggle(2);
  for (const time of [1.05, 1.1]) {
    sliders.start.valueAsNumber = time;
    sliders.start.emit("input");
    t.mock.timers.tick(249);
  }
  assert.equal(changes.length, 1);
  assert.equal(region.start, 1.1);
  t.mock.timers.tick(1);
  assert.deepEqual(changes.at(-1), [true, 1.1, 2]);
});

test("the range of the sliders is the duration, rounded up to a step", () => {
  new LoopRegion(waveform, 0.98, 0.5);
  assert.equal(sliders.end.max, 1);
});
