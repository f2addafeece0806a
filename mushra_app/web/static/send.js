// Sends a finished trial until the server has received it. The server accepts repeated submissions.

const FIRST_WAIT = 1000; // milliseconds, like all below
const LONGEST_WAIT = 30_000;
const TIMEOUT = 20_000;

/**
 * POST `body` as JSON. Retries at growing intervals while there is no answer or the server reports an error of its own.
 *
 * @param {string} url
 * @param {object} body
 * @param {() => void} onWaiting called before each wait
 * @returns {Promise<{ status: number, answer: object }>} the final response
 */
export async function send(url, body, onWaiting) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    const late = new AbortController(); // AbortSignal.timeout is missing in Safari 15, Chrome 102 and Firefox 99
    const timer = setTimeout(() => late.abort(), TIMEOUT);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
        signal: late.signal,
      });
      const answer = await response.json();
      if (response.status < 500 && response.status !== 429) return { status: response.status, answer };
    } catch {
      // No connection, or an answer that is not JSON, such as the log-in page of a hotel network.
    } finally {
      clearTimeout(timer);
    }
    onWaiting();
    await pause(wait * (0.5 + Math.random())); // random, so that browsers do not all retry at once
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    addEventListener("online", resolve, { once: true });
  });
}
