// Sending a finished trial until the server has it. The server takes a repetition for the same submission.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;
const TIMEOUT = 20_000;

/**
 * POST `body` as JSON; retry with growing pauses while there is no answer or the server is in trouble. `onWaiting` is called
 * before each pause. Returns the status of the final answer and its JSON.
 */
export async function send(url, body, onWaiting) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const answer = await response.json();
      if (response.status < 500 && response.status !== 429) return { status: response.status, answer };
    } catch {
      // No connection, the server went away in the middle, or somebody else answers: a hotel's log-in page is not JSON.
    }
    onWaiting();
    await pause(wait * (0.5 + Math.random())); // spread, so that a server that comes back is not hit by all at once
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    addEventListener("online", resolve, { once: true });
  });
}
