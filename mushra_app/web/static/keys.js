// The keys of the trial page. They work with any focus, except in controls that use the key themselves.

const STEPS = {
  ArrowUp: 1,
  ArrowRight: 1,
  ArrowDown: -1,
  ArrowLeft: -1,
  PageUp: 10,
  PageDown: -10,
  Home: -100,
  End: 100,
};

/**
 * Command that a key stands for.
 *
 * @param {{ key: string, code: string, repeat: boolean }} event
 * @param {{ onWaveform: boolean, onButton: boolean }} focus whether the focus is on a slider of the loop region, or on a
 *   control that the space bar presses
 * @returns {[name: string, ...args: number[]] | null} null: the page does not use the key here
 */
export function commandOf({ key, code, repeat }, { onWaveform, onButton }) {
  if (key in STEPS) return onWaveform ? null : ["step", STEPS[key]];
  if (key === " ") return onButton && !repeat ? null : ["toggle"];
  // Some layouts, such as the French one, need Shift for a digit. There the physical key counts.
  const digit = /^[0-9]$/.test(key) ? key : /^Digit([0-9])$/.exec(code)?.[1];
  if (digit === "0") return ["restart"];
  if (digit !== undefined) return ["listen", Number(digit)];
  const letters = { r: ["listen", 0], l: ["loop"], "?": ["help"] };
  return letters[key.toLowerCase()] ?? null;
}

/**
 * Call an action for each key press on the page.
 *
 * @param {Record<string, (...args: number[]) => unknown>} actions listen(index; 0: the reference), toggle(), restart(),
 *   loop(), help() and step(points). An action that returns false leaves the key to the browser.
 */
export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest("input[type=text], dialog")) return;
    const focus = { onWaveform: target.closest("#region") !== null, onButton: pressesButton(target) };
    const command = commandOf(event, focus);
    if (command === null) return;
    const [name, ...args] = command;
    // Only the keys that move a slider act again while they are held.
    const ignored = event.repeat && !(key in STEPS);
    if (ignored || actions[name](...args) !== false) event.preventDefault();
  });
}

/** Whether the space bar presses the focused control. On the button of the stimulus that plays it pauses instead. */
function pressesButton(target) {
  return target.closest('button:not(.play[aria-pressed="true"], .reference[aria-pressed="true"]), a, summary') !== null;
}
