// Opens an audio context at the study's rate, and loads all stimuli of a page before it starts.
import { reportFailure } from "./failures.js";

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
 * Download and decode the stimuli of a page. Reports what fails for good to the server.
 *
 * @param {AudioContext} context
 * @param {string[]} urls
 * @param {(fraction: number) => void} onProgress called with the fraction loaded, 0 to 1
 * @returns {Promise<AudioBuffer[]>} in the order of `urls`, of equal length
 * @throws {Error} whose `notice` names the page's notice that explains it: "load" or "decode"
 */
export async function load(context, urls, onProgress) {
  const fractions = urls.map(() => 0);
  const progressOf = (k) => (fraction) => {
    fractions[k] = fraction;
    onProgress(fractions.reduce((sum, one) => sum + one) / urls.length);
  };
  const buffers = await Promise.all(urls.map((url, k) => loadOne(context, url, progressOf(k))));
  for (const k of truncated(buffers)) buffers[k] = await loadOne(context, urls[k], progressOf(k), "reload");
  const failures = truncated(buffers).map((k) => failure(urls[k], "decode", new RangeError("truncated")));
  if (failures.length > 0) throw failures[0];
  return buffers;
}

/** Indices of buffers that are shorter than others: browsers decode a truncated file as far as it goes. */
function truncated(buffers) {
  const longest = Math.max(...buffers.map(({ length }) => length));
  return [...buffers.keys()].filter((k) => buffers[k].length < longest);
}

async function loadOne(context, url, onFraction, cache = "default") {
  let notice = "load";
  try {
    const bytes = await download(url, onFraction, cache);
    notice = "decode";
    return await context.decodeAudioData(bytes);
  } catch (error) {
    // The browser may have kept a damaged answer, or one from elsewhere, such as a hotel network's log-in page.
    if (notice === "decode" && cache === "default") return loadOne(context, url, onFraction, "reload");
    throw failure(url, notice, error);
  }
}

/** Report a failure, unless the server has refused the sound itself, and make the error to throw. */
function failure(url, notice, error) {
  if (!error.refused) reportFailure(url, notice, error);
  return Object.assign(new Error(error.message), { notice });
}

async function download(url, onFraction, cache) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchAll(url, onFraction, cache);
    } catch (error) {
      if (attempt === ATTEMPTS || error.refused) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}

async function fetchAll(url, onFraction, cache) {
  const stalled = new AbortController();
  let timer;
  const expectMore = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), STALL);
  };
  expectMore();
  try {
    const response = await fetch(url, { cache, signal: stalled.signal });
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
