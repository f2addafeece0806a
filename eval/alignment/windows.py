"""The delay in short windows of a signal, and what it says about the clock and about breaks in the signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from earmark.codec.audio import Audio
from earmark.eval.alignment.correlation import TAPS, peak_between
from earmark.eval.alignment.emphasis import decimation, fits_below, half_whitening
from earmark.eval.alignment.shift import placed

SECONDS = 0.25  # length of a window
MOST = 40  # windows; in longer signals they are spread out
REACH = 0.010  # seconds; largest change of the delay that is searched in every window
FASTEST = 400e-6  # largest drift of the clock that is searched
QUIET = 10**-1.75  # amplitude below that of the loudest window (35 dB) at which a window says nothing
HIGH = 0.3  # least height of a window's peak
SIMILAR = 0.9  # peaks of this part of the highest are equally likely; the one nearest to its neighbours counts


@dataclass(frozen=True)
class Curves:
    """Correlation of each window by its delay.

    Args:
        values: [windows, channels, positions], not normalised.
        height: [windows, positions], normalised to 0 ... 1.
        middle: position of the expected delay; the decoded signal is later at lower positions.
        factor: samples per position.
    """

    values: NDArray[np.float32]
    height: NDArray[np.float64]
    middle: int
    factor: int


@dataclass(frozen=True)
class Local:
    """Delays of windows that remain after the removal of a common delay.

    Args:
        at: [windows], centres of their energy in samples of the source.
        late: [windows], samples by which the decoded signal is late.
        height: [windows], normalised correlation, 0 to 1; 0 for windows that are silent.
        step: samples from one window to the next.
        curves: height by delay, around `expected`.
        expected: [windows], samples of delay around which a window was searched.
    """

    at: NDArray[np.float64]
    late: NDArray[np.float64]
    height: NDArray[np.float64]
    step: float
    curves: Curves | None
    expected: NDArray[np.int_]

    @property
    def reliable(self) -> NDArray[np.bool_]:
        """Windows whose delay means something."""
        heard = self.height[self.height > 0]
        least = max(HIGH, 0.5 * float(np.median(heard))) if heard.size else HIGH
        good: NDArray[np.bool_] = self.height >= least
        return good

    def height_at(self, window: int, late: float) -> float:
        """Height of a window at a delay; 0 outside the search."""
        if self.curves is None:
            return 0.0
        position = self.curves.middle - round((late - self.expected[window]) / self.curves.factor)
        inside = 0 <= position < self.curves.height.shape[1]
        return float(self.curves.height[window, position]) if inside else 0.0


def local_delays(source: Audio, decoded: Audio, lag: int, sample_rate: int, drift: float = 0.0) -> Local:
    """Find the delay that is left in each of up to 48 windows after the removal of `lag` samples.

    Args:
        source: [channels, time]; decoded: [channels, any time].
        drift: samples of delay per sample that are expected, relative to the middle of the source.
    """
    length = source.shape[-1]
    first, last = max(0, -lag), min(length, decoded.shape[-1] - lag)
    size = round(SECONDS * sample_rate)
    count = min(MOST, (last - first) // size)
    if count < 1:
        none = np.zeros(0)
        return Local(none, none, none, 1.0, None, np.zeros(0, int))
    reach = round(min(0.5 * size, REACH * sample_rate + FASTEST * (last - first) / 2))
    starts = np.linspace(first, last - size, count).astype(int)
    expected = np.rint(drift * (starts + size / 2 - length / 2)).astype(int)
    x = np.stack([placed(source, start - reach, size + 2 * reach) for start in starts])
    y = np.stack(
        [placed(decoded, start + lag + late, size) for start, late in zip(starts, expected, strict=True)]
    )  # [windows, channels, time]
    curves = _correlations(x, y, reach, sample_rate)
    late, heights = np.zeros(count), np.zeros(count)
    loud_x, loud_y = (np.sqrt(np.square(part, dtype=np.float64).mean(axis=(1, 2))) for part in (x, y))
    heard = (loud_x > QUIET * loud_x.max()) & (loud_y > QUIET * loud_y.max())
    for index, choice in _tracked(curves.height, heard, curves.middle).items():
        near = slice(max(0, choice - TAPS), choice + TAPS + 1)
        signs = np.sign(curves.values[index, :, choice])
        fraction = peak_between(signs @ curves.values[index, :, near], choice - near.start)
        late[index] = (curves.middle - choice - fraction) * curves.factor + expected[index]
        heights[index] = curves.height[index, choice]
    return Local(starts + _centroids(y), late, heights, (last - first) / count, curves, expected)


def _centroids(y: Audio) -> NDArray[np.float64]:
    """Centre of the energy in each window, in samples, as that is where the delay was measured."""
    energy = np.square(y).sum(axis=1, dtype=np.float64) + 1e-30
    centres: NDArray[np.float64] = energy @ np.arange(y.shape[-1]) / energy.sum(axis=-1)
    return centres


def _correlations(x: Audio, y: Audio, reach: int, sample_rate: int) -> Curves:
    """Correlate windows y [windows, channels, size] with every part of windows x that extend `reach` further."""
    y = y - y.mean(axis=-1, keepdims=True)
    factor = decimation(sample_rate)
    points = factor * fft.next_fast_len(-(-(x.shape[-1] + 64) // factor), real=True)
    spectra_x, spectra_y = fft.rfft(x, points, axis=-1), fft.rfft(y, points, axis=-1)
    power = (np.square(spectra_x.real) + np.square(spectra_x.imag)).sum(axis=(0, 1), dtype=np.float64)
    weights = half_whitening(power, sample_rate)
    if factor > 1 and not fits_below(power * np.square(weights), factor):
        factor = 1
    middle, size, points = reach // factor, y.shape[-1] // factor, points // factor
    bins = points // 2 + 1
    spectra_x, spectra_y = spectra_x[..., :bins] * weights[:bins], spectra_y[..., :bins] * weights[:bins]
    values = fft.irfft(spectra_x * spectra_y.conj(), points)[..., : 2 * middle + 1]
    squares = np.square(fft.irfft(spectra_x, points)).sum(axis=1, dtype=np.float64)
    total = np.cumsum(np.pad(squares, [(0, 0), (1, 0)]), axis=-1)
    energy_x = (total[:, size:] - total[:, :-size])[:, : 2 * middle + 1]
    energy_y = np.array([2 / points * float(np.vdot(part, part).real) for part in spectra_y])  # Parseval
    scale = energy_x * energy_y[:, None]
    height = np.abs(values).sum(axis=1) / np.sqrt(np.maximum(scale, max(1e-6 * scale.max(initial=0.0), 1e-30)))
    return Curves(values, np.minimum(height, 1.0), middle, factor)


def _tracked(height: NDArray[np.float64], heard: NDArray[np.bool_], middle: int) -> dict[int, int]:
    """Choose a peak in each window that is heard: of several similar ones, that nearest to the last window's.

    Begins at the window with the highest peak and goes both ways, since the peaks of periodic signals look alike.
    """
    if not heard.any():
        return {}
    top = np.where(heard, height.max(axis=1), -1.0)
    start = int(np.argmax(top))
    chosen: dict[int, int] = {}
    for indices in (range(start, len(height)), range(start - 1, -1, -1)):
        last = chosen.get(start, middle)
        for index in indices:
            if heard[index]:
                last = chosen[index] = _nearest_peak(height[index], last)
    return chosen


def _nearest_peak(curve: NDArray[np.float64], expected: int) -> int:
    inner = curve[1:-1]
    peaks = 1 + np.flatnonzero((inner >= curve[:-2]) & (inner > curve[2:]) & (inner >= SIMILAR * curve.max()))
    if len(peaks) == 0:
        return int(np.argmax(curve))
    return int(peaks[np.argmin(np.abs(peaks - expected))])
