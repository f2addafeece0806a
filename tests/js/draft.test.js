import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Draft } from "../../mushra_app/web/static/draft.js";

/** What a browser's localStorage does, with strings as values. */
class Storage {
  items = new Map();

  getItem(name) {
    return this.items.get(name) ?? null;
  }

  setItem(name, value) {
    this.items.set(name, `${value}`);
  }

  removeItem(name) {
    this.items.delete(name);
  }
}

beforeEach(() => {
  globalThis.localStorage = new Storage();
});

function answered() {
  const draft = new Draft("trial");
  draft.scores.abc = 0;
  draft.comments.abc = "hisses";
  draft.heardReference = true;
  draft.seconds = 12.5;
  draft.save();
  return draft;
}

test("a draft survives a reload", () => {
  answered();
  const draft = new Draft("trial");
  assert.deepEqual(draft.scores, { abc: 0 });
  assert.deepEqual(draft.comments, { abc: "hisses" });
  assert.equal(draft.heardReference, true);
  assert.equal(draft.seconds, 12.5);
  assert.equal(draft.submitted, false);
});

test("trials do not share drafts", () => {
  answered();
  assert.deepEqual(new Draft("next").scores, {});
});

test("stored drafts keep their format: a trial may be open while the server is updated", () => {
  answered();
  assert.deepEqual([...localStorage.items.keys()], ["earmark:trial"]);
  assert.deepEqual(JSON.parse(localStorage.getItem("earmark:trial")), {
    scores: { abc: 0 },
    comments: { abc: "hisses" },
    heardReference: true,
    heard: {},
    seconds: 12.5,
    submitted: false,
  });
});

test("load takes over what another tab has stored", () => {
  const here = answered();
  const there = new Draft("trial");
  there.scores.def = 70;
  there.save();
  here.load();
  assert.deepEqual(here.scores, { abc: 0, def: 70 });
});

test("a forgotten draft is deleted and not stored again", () => {
  const draft = answered();
  draft.forget();
  draft.save();
  assert.equal(localStorage.items.size, 0);
});

test("content that is not ours is ignored", () => {
  localStorage.setItem("earmark:trial", "{");
  assert.deepEqual(new Draft("trial").scores, {});
});

test("without storage the draft lasts as long as the page", () => {
  const refuse = () => {
    throw new Error("SecurityError");
  };
  globalThis.localStorage = { getItem: refuse, setItem: refuse, removeItem: refuse };
  const draft = answered();
  draft.load();
  assert.deepEqual(draft.scores, { abc: 0 });
  draft.forget();
});
