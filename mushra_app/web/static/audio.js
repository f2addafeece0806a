// Getting sounds into the browser: a context at the study's rate, and all stimuli of a page loaded before it starts.

const ATTEMPTS = 5;

/** An AudioContext at `sampleRate`; where the device refuses that, at its own rate (context.sampleRate tells). */
export function openContext(sampleRate) {
  try {
    return new AudioContext({ sampleRate });
  } catch {
    return new AudioContext();
  }
}

/** AudioBuffers of all `urls`, in their order. `onProgress` gets the fraction loaded, 0 to 1. */
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
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${response.status}`);
      return await readAll(response, onFraction);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}

async function readAll(response, onFraction) {
  const total = Number(response.headers.get("Content-Length")) || Infinity;
  const parts = [];
  let received = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    received += part.value.length;
    onFraction(Math.min(1, received / total));
  }
  onFraction(1);
  return new Blob(parts).arrayBuffer();
}

/** Let the context sound: browsers want a click first. True once it runs, false if it still does not after a second. */
export async function wake(context) {
  const late = new Promise((resolve) => setTimeout(resolve, 1000));
  await Promise.race([context.resume().catch(() => {}), late]);
  return context.state === "running";
}
