import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { commandOf, listenToKeys } from "../../mushra_app/web/static/keys.js";

const NOWHERE = { onWaveform: false, onButton: false };

function command(key, { code = "", repeat = false, ...focus } = {}) {
  return commandOf({ key, code, repeat }, { ...NOWHERE, ...focus });
}

test("digits play conditions, R plays the reference, 0 restarts", () => {
  assert.deepEqual(command("1", { code: "Digit1" }), ["listen", 1]);
  assert.deepEqual(command("9", { code: "Numpad9" }), ["listen", 9]);
  assert.deepEqual(command("r"), ["listen", 0]);
  assert.deepEqual(command("R"), ["listen", 0]); // Caps Lock
  assert.deepEqual(command("0", { code: "Digit0" }), ["restart"]);
  assert.deepEqual(command("l"), ["loop"]);
  assert.deepEqual(command("?"), ["help"]);
});

test("on layouts that need Shift for digits the physical key counts", () => {
  assert.deepEqual(command("&", { code: "Digit1" }), ["listen", 1]); // AZERTY without Shift
  assert.deepEqual(command("à", { code: "Digit0" }), ["restart"]);
});

test("arrows step by 1, Page keys by 10, Home and End to the ends of the scale", () => {
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
  for (const [key, points] of Object.entries({ ...steps, Home: -100, End: 100 })) {
    assert.deepEqual(command(key), ["step", points], key);
    assert.equal(command(key, { onWaveform: true }), null, `${key} moves an end of the loop`);
  }
});

test("the space bar toggles, unless it presses the focused button", () => {
  assert.deepEqual(command(" "), ["toggle"]);
  assert.equal(command(" ", { onButton: true }), null);
});

test("other keys have no command", () => {
  for (const key of ["a", "Tab", "Enter", "Escape", "F5", "10"]) assert.equal(command(key), null, key);
});

let press; // the listener that the module adds to the document

beforeEach(() => {
  globalThis.document = {
    addEventListener: (type, listener) => {
      assert.equal(type, "keydown");
      press = listener;
    },
  };
});

/** Whether the page prevents what the browser does by default. */
function isTaken(key, properties = {}) {
  let taken = false;
  const target = { closest: (selector) => (selector.includes(properties.inside) ? {} : null) };
  press({ key, code: "", target, preventDefault: () => (taken = true), ...properties });
  return taken;
}

test("a key that the page uses is taken from the browser, unless its action returns false", () => {
  const calls = [];
  listenToKeys({
    listen: (index) => calls.push(index),
    step: () => false,
  });
  assert.equal(isTaken("3"), true);
  assert.equal(isTaken("ArrowUp"), false);
  assert.equal(isTaken("a"), false);
  assert.deepEqual(calls, [3]);
});

test("modified keys and keys in text fields belong to the browser", () => {
  const calls = [];
  listenToKeys({ listen: (index) => calls.push(index) });
  for (const modifier of ["ctrlKey", "metaKey", "altKey"]) assert.equal(isTaken("1", { [modifier]: true }), false);
  assert.equal(isTaken("1", { inside: "input[type=text]" }), false);
  assert.equal(isTaken("1", { inside: "dialog" }), false);
  assert.deepEqual(calls, []);
});

test("a held key steps again, and does nothing else twice", () => {
  const calls = [];
  listenToKeys({
    step: (points) => calls.push(points),
    toggle: () => calls.push("toggle"),
  });
  assert.equal(isTaken("ArrowDown", { repeat: true }), true);
  assert.equal(isTaken(" ", { repeat: true }), true);
  assert.equal(isTaken(" ", { repeat: true, inside: "button" }), true); // or it would press the button repeatedly
  assert.deepEqual(calls, [-1]);
});
