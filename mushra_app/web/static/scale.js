// Scores on the scale from 0 to 100.

export const MIDDLE = 50; // position of an unrated slider

/** The nearest score on the scale. */
export function clamped(score) {
  return Math.max(0, Math.min(100, score));
}

/**
 * Score after a key press. A small step rates an unrated stimulus 50, whatever its direction; a step of 100 points goes
 * to an end of the scale.
 *
 * @param {number | undefined} score undefined: unrated
 * @param {number} points
 */
export function stepped(score, points) {
  if (score === undefined && Math.abs(points) < 100) return MIDDLE;
  return clamped((score ?? MIDDLE) + points);
}

/** Index of the band that contains a score, from 0 for the best; a score on a border belongs to the lower band. */
export function bandOf(score, bands) {
  return Math.min(bands - 1, Math.floor(((100 - score) / 100) * bands));
}
