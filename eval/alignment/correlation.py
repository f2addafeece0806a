"""Normalised cross-correlation of a decoded signal with its source, over all delays by FFT."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from earmark.codec.audio import Audio
from earmark.eval.alignment.blocks import means
from earmark.eval.alignment.emphasis import decimation, fits_below, half_whitening
from earmark.eval.alignment.recent import Kept

LEAST_OVERLAP = 0.1  # of the shorter signal
TAPS = 32  # lags on each side of the peak from which values between lags are interpolated
AWAY = 0.002  # seconds; peaks nearer than this belong to the same delay
STEPS = np.linspace(-0.5, 0.5, 51)  # positions between lags at which values are interpolated
SWAP_MARGIN = 1.1  # how much better swapped channels must match than straight ones


@dataclass(frozen=True)
class Peak:
    """A peak of the cross-correlation.

    Args:
        lag: samples by which the decoded signal is late.
        height: magnitude of the normalised correlation, 0 to 1.
        sign: polarity of the decoded signal; of several channels, that of the strongest correlation.
        rival: height of the next best peak, at least 2 ms away, over this one's; near 1 the lag is ambiguous.
        swapped: whether two channels match better crosswise.
        by_channel: lag of each channel's own peak.
    """

    lag: float
    height: float
    sign: int
    rival: float
    swapped: bool = False
    by_channel: tuple[float, ...] = ()


@dataclass(frozen=True)
class Correlation:
    """Cross-correlation at all lags, at the sample rate of the signals over `factor`.

    Args:
        first: lag of the first value.
        values: [channels, lags], not normalised.
        scale: [lags], what normalises the sum of magnitudes over channels to 0 ... 1.
        sample_rate: samples per second of the lags.
        factor: samples of the signals per lag.
    """

    first: int
    values: NDArray[np.float32]
    scale: NDArray[np.float32]
    sample_rate: float
    factor: int
    swapped: bool = False

    def best(self, lowest: float = -np.inf, highest: float = np.inf) -> Peak:
        """The highest peak, between two delays in samples of the signals."""
        height = np.abs(self.values).sum(axis=0) * self.scale
        low = int(max(0, np.ceil(lowest / self.factor) - self.first))
        high = int(min(len(height), np.floor(highest / self.factor) - self.first + 1))
        if high <= low:
            return Peak(0.0, 0.0, 1, 1.0)
        index = low + int(np.argmax(height[low:high]))
        at = self.values[:, index]
        near = slice(max(0, index - TAPS), index + TAPS + 1)
        fraction = peak_between(np.sign(at) @ self.values[:, near], index - near.start)
        top = float(height[index])
        own = tuple(
            float(self.first + low + int(np.argmax(np.abs(channel[low:high]) * self.scale[low:high]))) * self.factor
            for channel in self.values
        )
        return Peak(
            (self.first + index + fraction) * self.factor, min(1.0, top), -1 if at.sum() < 0 else 1,
            self._rival(height, index) / max(top, 1e-12), self.swapped, own,
        )  # fmt: skip

    def _rival(self, height: NDArray[np.float32], index: int) -> float:
        """Height of the highest local maximum that is another delay than that at `index`."""
        inner = height[1:-1]
        is_peak = (inner > height[:-2]) & (inner >= height[2:])
        margin = max(1, round(AWAY * self.sample_rate))
        is_peak[max(0, index - 1 - margin) : index + margin] = False
        return float(inner[is_peak].max(initial=0.0))


def correlate(source: Audio, decoded: Audio, sample_rate: int, kept: Kept) -> Correlation | None:
    """Correlate over all delays at which a tenth of the shorter signal overlaps; None if a signal is silent.

    Both signals are half whitened first (see `emphasis`). The normalisation divides by the energy of the decoded signal
    and by that of the source within the decoded signal's extent. A decoded signal that was cut to the length of the
    source then still matches best at its true delay, though another, some periods of a tone away, overlaps more.

    Args:
        source: [channels, time]; decoded: [channels, any time].
        kept: of the source, from `recent.kept_for`.
    """
    length, size = source.shape[-1], decoded.shape[-1]
    points = decimation(sample_rate) * _rounded(-(-(length + size + 1) // decimation(sample_rate)))
    x = kept.get("spectrum", (points, sample_rate), lambda: _spectrum(source, points, sample_rate))
    y = fft.rfft(decoded - means(decoded), points, axis=-1)[:, : len(x.weights)] * x.weights
    return _normalised(x, y, -(-length // x.factor), -(-size // x.factor), sample_rate)


def _rounded(points: int) -> int:
    """A length for the FFT that is fast, and that is the same for decoded signals of almost the same length."""
    step = 1 << max(0, points.bit_length() - 6)
    return int(fft.next_fast_len(-(-points // step) * step, real=True))


@dataclass(frozen=True)
class _Spectrum:
    """Half-whitened spectrum of a source.

    Args:
        values: [channels, bins].
        weights: [bins], of the whitening, to half the decimated rate.
        energy: [time / factor + 1], of the whitened source up to each sample, channels summed.
        points: of the inverse FFT.
        factor: of the decimation.
    """

    values: NDArray[np.complex64]
    weights: NDArray[np.float32]
    energy: NDArray[np.float64]
    points: int
    factor: int


def _spectrum(source: Audio, points: int, sample_rate: int) -> _Spectrum:
    """Spectrum of a source by an FFT of `points`, without what the search does not need."""
    factor = decimation(sample_rate)
    x = fft.rfft(source - means(source), points, axis=-1)
    power = (np.square(x.real) + np.square(x.imag)).sum(axis=0).astype(np.float64)
    weights = half_whitening(power, sample_rate)
    if factor > 1 and not fits_below(power * np.square(weights), factor):
        factor = 1
    bins, points = points // factor // 2 + 1, points // factor
    values = x[:, :bins] * weights[:bins]
    energy = np.square(fft.irfft(values, points, axis=-1)[:, : -(-source.shape[-1] // factor)]).sum(axis=0)
    total = np.concatenate([[0.0], np.cumsum(energy, dtype=np.float64)])
    return _Spectrum(values, weights[:bins].copy(), total, points, factor)


def _normalised(x: _Spectrum, y: NDArray[np.complex64], length: int, size: int, sample_rate: int) -> Correlation | None:
    """Correlation of spectra of signals that had `length` and `size` samples after decimation."""
    points, total, rate = x.points, x.energy, sample_rate / x.factor
    energy_y = 2 / points * sum(float(np.vdot(channel, channel).real) for channel in y)  # Parseval; no bin at 0 Hz
    if energy_y <= 0 or total[-1] <= 0:
        return None
    # By lag, -(length - 1) ... size - 1: energy of the source within the extent of the decoded signal.
    slope = total[length - 1 : 0 : -1]
    within = np.concatenate([total[length] - slope, np.full(size, total[length])])
    within[size:] -= total[length] - slope
    need = math.ceil(LEAST_OVERLAP * min(length, size))
    usable = within > 1e-6 * total[-1]
    usable[: need - 1] = usable[size + length - need :] = False
    scale = np.where(usable, 1 / np.sqrt(np.maximum(within, 1e-6 * total[-1]) * energy_y), 0.0).astype(np.float32)

    def crossed(order: list[int]) -> NDArray[np.float32]:
        values = fft.irfft(y[order] * x.values.conj(), points, axis=-1)
        joined: NDArray[np.float32] = np.concatenate([values[:, points - (length - 1) :], values[:, :size]], axis=1)
        return joined

    straight = crossed(list(range(len(y))))
    top = float((np.abs(straight).sum(axis=0) * scale).max())
    if len(y) == 2 and SWAP_MARGIN * top < 1:  # else no match can be better by the margin
        swapped = crossed([1, 0])
        if float((np.abs(swapped).sum(axis=0) * scale).max()) > SWAP_MARGIN * top:
            return Correlation(-(length - 1), swapped, scale, rate, x.factor, swapped=True)
    return Correlation(-(length - 1), straight, scale, rate, x.factor)


def peak_between(values: NDArray[np.floating], index: int) -> float:
    """Position of the maximum between lags, relative to `index`, -0.5 to 0.5, by band-limited interpolation."""
    curve = _interpolation(len(values), index) @ values
    best = int(np.argmax(curve))
    if 0 < best < len(STEPS) - 1:
        before, here, after = curve[best - 1 : best + 2]
        bend = before - 2 * here + after
        if bend < 0:
            return float(STEPS[best] + (before - after) / (2 * bend) * (STEPS[1] - STEPS[0]))
    return float(STEPS[best])


@functools.lru_cache(64)
def _interpolation(length: int, index: int) -> NDArray[np.float64]:
    """Weights [positions, length] of windowed sinc functions, at STEPS around `index`."""
    distance = STEPS[:, None] - (np.arange(length) - index)
    weights: NDArray[np.float64] = np.sinc(distance) * np.cos(np.pi / 2 * np.clip(distance / (TAPS + 1), -1, 1)) ** 2
    return weights
