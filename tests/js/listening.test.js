import assert from "node:assert/strict";
import { test } from "node:test";
import { Listening } from "../../mushra_app/web/static/listening.js";

test("plays, seconds and switches", () => {
  const draft = { heard: {} };
  const listening = new Listening(draft);
  listening.plays("a", 10);
  listening.plays("a", 11.5); // counts, and is no second play
  listening.plays("b", 12); // a switch
  listening.plays(null, 15);
  listening.plays("b", 20); // no switch: nothing played before
  listening.plays(null, 20.25);
  assert.deepEqual(draft.heard, {
    a: { plays: 1, seconds: 2, switches: 0, moves: [] },
    b: { plays: 2, seconds: 3.25, switches: 1, moves: [] },
  });
});

test("changes within half a second are one move; the first and the last 49 are kept", () => {
  const listening = new Listening({ heard: {} });
  for (const [score, time] of [[50, 1], [60, 1.2], [70, 1.4], [70, 9], [20, 10]]) listening.moved("a", score, time); // biome-ignore format: one line
  assert.deepEqual(listening.of("a").moves, [
    [1.4, 70],
    [10, 20],
  ]);
  for (let k = 0; k < 100; k++) listening.moved("b", k, k);
  const { moves } = listening.of("b");
  assert.equal(moves.length, 50);
  assert.deepEqual([moves[0], moves[1], moves[49]], [[0, 0], [51, 51], [99, 99]]); // biome-ignore format: one line
});
