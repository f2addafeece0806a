import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const SOURCE = readFileSync(new URL("../../mushra_app/web/static/features.js", import.meta.url), "utf8");
const CODE = SOURCE.replace(/^\s*(\/\/|\/\*\*).*$/gm, "");

/** Run the script in a browser that has nothing of what the test needs; returns its elements. */
function inAnOldBrowser() {
  const element = () => ({
    style: {},
    attributes: { hidden: "" },
    setAttribute(name, value) {
      this.attributes[name] = value;
    },
    removeAttribute(name) {
      delete this.attributes[name];
    },
    getAttribute() {
      return null;
    },
  });
  const elements = { missing: element(), unsupported: element(), enter: element() };
  const ready = [];
  const document = {
    documentElement: element(),
    getElementById: (id) => elements[id],
    querySelector: () => null,
    addEventListener: (type, listener) => type === "DOMContentLoaded" && ready.push(listener),
  };
  vm.runInNewContext(SOURCE, { window: {}, document, navigator: { cookieEnabled: false } });
  for (const listener of ready) listener();
  return elements;
}

test("a browser without anything is told what it lacks, and cannot enter", () => {
  const { missing, unsupported, enter } = inAnOldBrowser();
  assert.equal(
    missing.textContent,
    "Web Audio, fetch, AbortController, Pointer Events, Intl.ListFormat, JavaScript modules (ES2022), cookies",
  );
  assert.equal("hidden" in unsupported.attributes, false);
  assert.equal(enter.style.display, "none");
});

test("the check is written in ECMAScript 5", () => {
  for (const newer of [
    /=>/,
    /\b(let|const|class|async|await|import|of)\b/,
    /`/,
    /\?\./,
    /\?\?/,
    /\.\.\./,
    /catch\s*\{/,
  ]) {
    assert.doesNotMatch(CODE, newer);
  }
});
