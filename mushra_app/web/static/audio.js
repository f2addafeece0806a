// Opens an audio context at the study's rate, and loads all stimuli of a page before it starts.

const ATTEMPTS = 5;
const STALL = 20_000; // milliseconds without data after which an attempt is aborted

/**
 * AudioContext at `sampleRate`, or at the device's own rate if the browser refuses that one.
 *
 * @param {number} sampleRate
 * @returns {AudioContext}
 */
export function openContext(sampleRate) {
  if (navigator.audioSession) navigator.audioSession.type = "playback"; // plays in an iPhone's silent mode
  try {
    return new AudioContext({ sampleRate });
  } catch {
    return new AudioContext();
  }
}

/**
 * Download and decode stimuli.
 *
 * @param {AudioContext} context
 * @param {string[]} urls
 * @param {(fraction: number) => void} onProgress called with the fraction loaded, 0 to 1
 * @returns {Promise<AudioBuffer[]>} in the order of `urls`
 */
export async function load(context, urls, onProgress) {
  const fractions = urls.map(() => 0);
  const report = (k, fraction) => {
    fractions[k] = fraction;
    onProgress(fractions.reduce((sum, one) => sum + one) / urls.length);
  };
  return Promise.all(
    urls.map(async (url, k) => context.decodeAudioData(await download(url, (fraction) => report(k, fraction)))),
  );
}

async function download(url, onFraction) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchAll(url, onFraction);
    } catch (error) {
      if (attempt === ATTEMPTS || error.refused) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}

async function fetchAll(url, onFraction) {
  const stalled = new AbortController();
  let timer;
  const expectMore = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), STALL);
  };
  expectMore();
  try {
    const response = await fetch(url, { signal: stalled.signal });
    // Errors of the server and "too many requests" may pass; other statuses would come back on every attempt.
    const refused = response.status < 500 && response.status !== 429;
    if (!response.ok) throw Object.assign(new Error(`${response.status}`), { refused });
    const total = Number(response.headers.get("Content-Length")) || Infinity;
    const parts = [];
    let received = 0;
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      expectMore();
      parts.push(part.value);
      received += part.value.length;
      onFraction(Math.min(1, received / total));
    }
    onFraction(1);
    return await new Blob(parts).arrayBuffer();
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resume a suspended context. Browsers allow that only after a click or key press on the page.
 *
 * @param {AudioContext} context
 * @returns {Promise<boolean>} whether it runs, after at most one second
 */
export async function wake(context) {
  playInSilentMode();
  const late = new Promise((resolve) => setTimeout(resolve, 1000));
  await Promise.race([context.resume().catch(() => {}), late]);
  return context.state === "running";
}

/**
 * Call `onStop` when audio stops although nobody paused it: a call, the lock screen, another program that takes the
 * output, or another output device.
 *
 * @param {AudioContext} context
 * @param {(reason: "interrupted" | "device") => void} onStop
 */
export function watchOutput(context, onStop) {
  let ran = context.state === "running"; // a context may start by itself
  context.addEventListener("statechange", () => {
    if (ran && context.state !== "running") onStop("interrupted"); // "suspended", or Safari's "interrupted"
    ran = context.state === "running";
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => ran && onStop("device"));
}

/** Whether this is an iPhone or iPad, whose silent mode mutes Web Audio. An iPad claims to be a Mac. */
export function hasSilentMode() {
  return (
    /iPhone|iPod|iPad/.test(navigator.userAgent) || (/Mac/.test(navigator.platform) && navigator.maxTouchPoints > 1)
  );
}

let silence = null;

/** Before iOS 16.4, silent mode mutes Web Audio unless a media element plays. Must be called in a click or key press. */
function playInSilentMode() {
  if (navigator.audioSession || !hasSilentMode()) return;
  if (silence === null) {
    silence = new Audio(new URL("silence.wav", import.meta.url));
    silence.loop = true;
  }
  silence.play().catch(() => {}); // then silent mode mutes, as the volume page explains
}
