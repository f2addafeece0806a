// The picture of a recording, on which listeners choose what to loop.

/**
 * SVG path around the waveform of `buffer`, for the viewBox "0 -1 columns 2": a column spans the samples that fall on it,
 * of all channels, and the loudest sample of the recording touches an edge.
 */
export function outline(buffer, columns) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  const highest = new Float32Array(columns).fill(-Infinity);
  const lowest = new Float32Array(columns).fill(Infinity);
  for (const samples of channels) {
    for (let column = 0; column < columns; column++) {
      const first = Math.floor((column * samples.length) / columns);
      const last = Math.max(first + 1, Math.floor(((column + 1) * samples.length) / columns));
      for (let n = first; n < last; n++) {
        if (samples[n] > highest[column]) highest[column] = samples[n];
        if (samples[n] < lowest[column]) lowest[column] = samples[n];
      }
    }
  }
  const peak = Math.max(...highest, ...lowest.map(Math.abs)) || 1;
  const point = (column, value) => `${column + 0.5} ${(-value / peak).toFixed(3)}`;
  const above = Array.from(highest, (value, column) => point(column, value));
  const below = Array.from(lowest, (value, column) => point(column, value)).reverse();
  return `M${[...above, ...below].join("L")}Z`;
}
