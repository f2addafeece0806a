// The waveform of a recording, on which listeners choose what to loop.

/**
 * SVG path around the waveform, for the viewBox "0 -1 columns 2". Each column spans the samples that fall on it, of all
 * channels. The path is scaled so that the peak of the recording touches an edge.
 *
 * @param {AudioBuffer} buffer
 * @param {number} columns
 * @returns {string}
 */
export function outline(buffer, columns) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  const { highest, lowest } = extremes(channels, columns);
  const peak = Math.max(...highest, ...lowest.map(Math.abs)) || 1; // 1: silence
  const point = (column, value) => `${column + 0.5} ${(-value / peak).toFixed(3)}`;
  const above = Array.from(highest, (value, column) => point(column, value));
  const below = Array.from(lowest, (value, column) => point(column, value)).reverse();
  return `M${[...above, ...below].join("L")}Z`;
}

/** Highest and lowest sample of each column, over all channels. */
function extremes(channels, columns) {
  const highest = new Float32Array(columns).fill(-Infinity);
  const lowest = new Float32Array(columns).fill(Infinity);
  for (const samples of channels) {
    for (let column = 0; column < columns; column++) {
      const first = Math.floor((column * samples.length) / columns);
      const last = Math.max(first + 1, Math.floor(((column + 1) * samples.length) / columns));
      for (const sample of samples.subarray(first, last)) {
        if (sample > highest[column]) highest[column] = sample;
        if (sample < lowest[column]) lowest[column] = sample;
      }
    }
  }
  return { highest, lowest };
}
