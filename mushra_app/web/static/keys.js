// The keys of the trial page. They work wherever the focus is, except where a control has its own use for one.

const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -100, End: 100 };

/**
 * Call actions.listen(index, 0 for the reference), toggle(), restart(), loop(), help() and step(points) as keys ask for
 * them. An action that answers false leaves the key to the browser.
 */
export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input[type=text], dialog")) return;
    const action = meaning(event, actions);
    if (action === undefined) return;
    // A key that is held moves the slider, and does nothing else again.
    if ((event.repeat && !(event.key in STEPS)) || action() !== false) event.preventDefault();
  });
}

function meaning(event, actions) {
  const { key, target } = event;
  if (key in STEPS) return target.closest("#region") ? undefined : () => actions.step(STEPS[key]);
  if (key === " ") return ownsSpace(target) && !event.repeat ? undefined : () => actions.toggle();
  // By its place where the layout needs Shift for a digit, as the French one does.
  const digit = /^[0-9]$/.test(key) ? key : /^Digit([0-9])$/.exec(event.code)?.[1];
  if (digit === "0") return () => actions.restart();
  if (digit !== undefined) return () => actions.listen(Number(digit));
  return { r: () => actions.listen(0), l: () => actions.loop(), "?": () => actions.help() }[key.toLowerCase()];
}

/** Whether the space bar presses what has the focus. The button of what sounds it does not: there it pauses. */
function ownsSpace(target) {
  return target.closest('button:not(.play[aria-pressed="true"], .reference[aria-pressed="true"]), a, summary') !== null;
}
