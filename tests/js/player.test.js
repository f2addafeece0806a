import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Player, raisedCosine } from "../../eval/report/static/player.js";

const RATE = 1000; // a frame is 1 ms, a fade of 5 ms is 5 frames
const LENGTH = 2000;

let context;
let log; // what the player schedules, in frames of the context

const frames = (seconds) => Math.round(seconds * RATE);

class FakeGain {
  static made = 0;

  constructor() {
    const index = FakeGain.made++;
    this.gain = {
      setValueCurveAtTime: (curve, at, duration) => {
        assert.equal(frames(duration), 5);
        assert.equal(curve.length, 6);
        log.push(`${curve[0] === 1 ? "out" : "in"} ${index} at ${frames(at)}`);
      },
    };
  }

  connect() {}
}

class FakeSource {
  constructor(_, { buffer, loop }) {
    assert.equal(loop, true);
    this.name = buffer.name;
  }

  connect() {}

  start(at, offset) {
    if (this.name === 0) log.push(`start at ${frames(at)} from ${frames(offset)}`);
  }

  stop(at) {
    if (this.name === 0) log.push(`stop at ${frames(at)}`);
  }
}

/** A recording, and what AudioBuffer constructs for a loop region; constant 1. */
class FakeBuffer {
  name = 0;
  numberOfChannels = 1;

  constructor({ length }) {
    this.length = length;
    this.duration = length / RATE;
    this.samples = new Float32Array(length).fill(1);
  }

  getChannelData() {
    return this.samples;
  }

  copyToChannel(samples) {
    this.samples = samples;
    cuts.push(this);
  }
}

let cuts; // buffers made for loop regions

beforeEach(() => {
  Object.assign(globalThis, { GainNode: FakeGain, AudioBufferSourceNode: FakeSource, AudioBuffer: FakeBuffer });
  FakeGain.made = 0;
  context = { sampleRate: RATE, currentTime: 0, destination: null };
  log = [];
  cuts = [];
});

function makePlayer(conditions = 3) {
  const buffers = Array.from({ length: conditions }, (_, k) =>
    Object.assign(new FakeBuffer({ length: LENGTH }), { name: k }),
  );
  return new Player(context, buffers);
}

test("fades are raised cosines: (1 - cos(pi n / 4)) / 2 for n = 0 ... 4", () => {
  const expected = [0, 0.14645, 0.5, 0.85355, 1];
  raisedCosine(4, 0).forEach((value, n) => void assert.ok(Math.abs(value - expected[n]) < 1e-5));
  raisedCosine(4, 1).forEach((value, n) => void assert.ok(Math.abs(value - expected[4 - n]) < 1e-5));
});

test("a switch fades out for 5 ms, then in, without overlap", () => {
  const player = makePlayer();
  player.start(0.1);
  player.select(1, 0.15);
  assert.deepEqual(log, ["start at 100 from 0", "in 0 at 100", "out 0 at 150", "in 1 at 156"]);
});

test("a pause fades out, then stops; the next start continues there", () => {
  const player = makePlayer();
  player.start(0.1);
  player.pause(0.2);
  player.start(0.5);
  assert.deepEqual(log.slice(2), ["out 0 at 200", "stop at 206", "start at 500 from 106", "in 0 at 500"]);
});

test("a restart during playback begins at frame 0", () => {
  const player = makePlayer();
  player.start(0);
  player.restart(1);
  assert.deepEqual(log.slice(2), ["out 0 at 1000", "stop at 1006", "start at 1006 from 0", "in 0 at 1006"]);
});

test("selecting the condition that plays changes nothing", () => {
  const player = makePlayer();
  player.start(0);
  player.select(0, 0.5);
  assert.equal(log.length, 2);
});

test("calls during a fade wait for its end, and only the latest counts", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const player = makePlayer();
  player.start(); // fades in until frame 5, free from frame 6
  player.select(1);
  player.select(2);
  assert.equal(log.length, 2);
  assert.equal(player.index, 2);
  context.currentTime = 0.006;
  t.mock.timers.tick(6);
  assert.deepEqual(log.slice(2), ["out 0 at 6", "in 2 at 12"]);
});

test("calls without a time keep ahead of what the device has rendered: latency and one block of 128 frames", () => {
  context.baseLatency = 0.01;
  context.currentTime = 1;
  makePlayer().start();
  assert.equal(log[1], "in 0 at 1138");
});

test("the position follows the clock, loops, and stands still during a pause", () => {
  const player = makePlayer();
  player.start(0);
  context.currentTime = 2.25;
  assert.equal(player.position, 0.25); // of 2 s
  player.pause(2.25); // stops after the fade, 6 frames later
  context.currentTime = 9;
  assert.equal(player.position, 0.256);
});

test("a loop has at least half a second, faded edges, and its own start", () => {
  const player = makePlayer(1);
  player.loop(1, 1.2, 0);
  player.start(0.1);
  assert.deepEqual(log, ["start at 100 from 0", "in 0 at 100"]);
  const [{ samples }] = cuts;
  assert.equal(samples.length, 500);
  assert.deepEqual([samples[0], samples[5], samples[250], samples[494], samples[499]], [0, 1, 1, 1, 0]);
  context.currentTime = 0.35;
  assert.equal(player.position, 1.25);
});

test("a loop at the end of the recording is moved back", () => {
  const player = makePlayer(1);
  player.loop(1.9, 2, 0);
  assert.equal(player.position, 1.5);
});

test("an unknown condition is an error", () => {
  assert.throws(() => makePlayer().select(3), RangeError);
});
