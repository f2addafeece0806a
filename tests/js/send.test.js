import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { send } from "../../mushra_app/web/static/send.js";

let responses; // what fetch gives, in order: an Error or [status, body]
let requests;
let online; // listeners

beforeEach(() => {
  requests = [];
  online = [];
  globalThis.addEventListener = (type, listener) => type === "online" && online.push(listener);
});

async function fetch(url, options) {
  requests.push({ url, method: options.method, body: JSON.parse(options.body) });
  const response = responses.shift();
  if (response instanceof Error) throw response;
  const [status, body] = response;
  return { status, json: async () => JSON.parse(body) };
}

/** Let fetch give these responses, and record the waits in milliseconds instead of waiting. */
function prepare(t, ...given) {
  const waits = [];
  responses = given;
  t.mock.method(globalThis, "fetch", fetch);
  t.mock.method(Math, "random", () => 0.5); // waits are multiplied by 0.5 + random
  t.mock.method(globalThis, "setTimeout", (resolve, milliseconds) => {
    if (milliseconds === 20_000) return; // the time limit of a request
    waits.push(milliseconds);
    queueMicrotask(resolve);
  });
  return waits;
}

test("an accepted trial is sent once", async (t) => {
  const waits = prepare(t, [200, '{"next": "/trial"}']);
  const result = await send("/rate", { seconds: 3 }, assert.fail);
  assert.deepEqual(result, { status: 200, answer: { next: "/trial" } });
  assert.deepEqual(requests, [{ url: "/rate", method: "POST", body: { seconds: 3 } }]);
  assert.deepEqual(waits, []);
});

test("a refusal is final", async (t) => {
  for (const status of [400, 403, 409]) {
    prepare(t, [status, '{"error": "no"}']);
    assert.deepEqual(await send("/rate", {}, assert.fail), { status, answer: { error: "no" } });
  }
});

test("everything else is retried after twice the time, with the same body", async (t) => {
  const trouble = [new TypeError("offline"), [503, "{}"], [429, "{}"], [200, "<html>log in</html>"]];
  const waits = prepare(t, ...trouble, [200, '{"next": "/"}']);
  let waiting = 0;
  assert.equal((await send("/rate", { seconds: 3 }, () => waiting++)).status, 200);
  assert.deepEqual(waits, [1000, 2000, 4000, 8000]);
  assert.equal(waiting, 4);
  assert.deepEqual(new Set(requests.map(({ body }) => body.seconds)), new Set([3]));
});

test("waits grow to 30 s", async (t) => {
  const waits = prepare(t, ...Array(7).fill([500, "{}"]), [200, "{}"]);
  await send("/rate", {}, () => {});
  assert.deepEqual(waits.slice(-3), [16_000, 30_000, 30_000]);
});

test("a connection that comes back ends the wait", async (t) => {
  prepare(t, new TypeError("offline"), [200, "{}"]);
  t.mock.method(globalThis, "setTimeout", () => {}); // never
  const sent = send("/rate", {}, () => queueMicrotask(() => online.forEach((resume) => void resume())));
  assert.equal((await sent).status, 200);
});
