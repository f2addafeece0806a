// Reports sounds that this browser cannot load or decode, so that the experimenter learns of them.

const reported = new Set();

/**
 * Report a sound once per reason. If the report does not arrive either, nothing more is done.
 *
 * @param {string} url of the sound
 * @param {"load" | "decode"} reason
 * @param {Error} error
 */
export function reportFailure(url, reason, error) {
  if (reported.has(`${reason} ${url}`)) return;
  reported.add(`${reason} ${url}`);
  const { value: token } = document.querySelector("[name=token]"); // of the form that stops the session
  fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ token, reason, error: `${error.name}: ${error.message}`.slice(0, 100) }),
    keepalive: true, // also if the listener leaves the page
  }).catch(() => {});
}
