"""The plain cross-correlation near a delay: what remains to be removed for the best match of the waveforms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio
from earmark.eval.alignment.blocks import BLOCK, blocks, means
from earmark.eval.alignment.correlation import TAPS, peak_between

MAX_LAG = 10  # samples; a longer search would hide a wrong documented delay
GAIN_DB = 0.3  # a fraction of a sample is removed if that raises the SI-SNR by this


@dataclass(frozen=True)
class Match:
    """The best match of two waveforms near a delay.

    Args:
        whole: delay in whole samples.
        fraction: part of a sample beyond it, -0.5 to 0.5; 0 if it is not worth removing.
        height: normalised correlation at `whole`, 0 to 1.
        sign: polarity there.
    """

    whole: int
    fraction: float
    height: float
    sign: int


def match_near(source: Audio, decoded: Audio, lag: int, reach: int = MAX_LAG) -> Match:
    """Search `reach` samples on both sides of `lag` for the highest correlation, of either polarity.

    Args:
        source: [channels, time]; decoded: [channels, any time].
    """
    length, size = source.shape[-1], decoded.shape[-1]
    around = reach + TAPS // 2
    first = lag - around
    known = products(source, decoded, range(first, lag + around + 1), means(source), means(decoded))
    height = np.abs(known).sum(axis=0)
    lags = sorted(range(lag - reach, lag + reach + 1), key=lambda candidate: abs(candidate - lag))
    whole = max(lags, key=lambda candidate: float(height[candidate - first]))  # the nearest of equal peaks
    middle = known[:, whole - first]
    energy_x, slope = _energy(source, max(0, -whole), min(length, size - whole)), _steps(source)
    energy_y = _energy(decoded, 0, size)
    if energy_x == 0 or energy_y == 0:
        return Match(lag, 0.0, 0.0, 1)
    top = min(1.0, float(height[whole - first]) / math.sqrt(energy_x * energy_y))
    curve = np.sign(middle) @ known[:, whole - first - TAPS // 2 : whole - first + TAPS // 2 + 1]
    fraction = peak_between(curve, TAPS // 2)
    noise = max(1e-9, 1 - top**2)
    if fraction**2 * slope / energy_x < (10 ** (GAIN_DB / 10) - 1) * noise:
        fraction = 0.0
    return Match(whole, fraction, top, -1 if middle.sum() < 0 else 1)


def height_at(source: Audio, decoded: Audio, lag: int) -> tuple[float, int]:
    """Normalised correlation at one lag, 0 to 1, and the polarity there; 0 and 1 for silence."""
    length, size = source.shape[-1], decoded.shape[-1]
    energy = _energy(source, max(0, -lag), min(length, size - lag)) * _energy(decoded, 0, size)
    here = products(source, decoded, range(lag, lag + 1), means(source), means(decoded))
    height = float(np.abs(here).sum()) / math.sqrt(energy) if energy > 0 else 0.0
    return min(1.0, height), -1 if here.sum() < 0 else 1


def products(source: Audio, decoded: Audio, lags: range, mean_x: Audio, mean_y: Audio) -> NDArray[np.float64]:
    """Inner products [channels, lags] of the source with the decoded signal moved earlier by each of the lags.

    Args:
        source: [channels, time]; decoded: [channels, any time].
        lags: consecutive, in samples.
        mean_x, mean_y: [channels, 1], what is subtracted from the signals first.
    """
    result = np.zeros((len(source), len(lags)))
    first, last = max(0, -lags[-1]), min(source.shape[-1], decoded.shape[-1] - lags[0])
    for start in range(first, last, BLOCK):
        stop = min(last, start + BLOCK)
        x = source[:, start:stop] - mean_x
        begin = max(0, start + lags[0])  # of the part of the decoded signal that meets the block
        y = decoded[:, begin : stop + lags[-1]] - mean_y
        for column, lag in enumerate(lags):
            low, high = max(start, -lag), min(stop, decoded.shape[-1] - lag)
            if high > low:
                for channel in range(len(x)):
                    result[channel, column] += np.dot(
                        x[channel, low - start : high - start], y[channel, low + lag - begin : high + lag - begin]
                    )
    return result


def _energy(audio: Audio, first: int, last: int) -> float:
    """Energy of a part of [channels, time] without the means of the whole."""
    mean, total = means(audio), 0.0
    for start in range(first, last, BLOCK):
        part = audio[:, start : min(last, start + BLOCK)] - mean
        total += sum(float(np.dot(channel, channel)) for channel in part)
    return total


def _steps(audio: Audio) -> float:
    """Energy of the differences between samples of [channels, time], which is that of a shift by one sample."""
    return sum(
        float(np.square(np.diff(audio[:, part.start : part.stop + 1], axis=-1), dtype=np.float64).sum())
        for part in blocks(audio.shape[-1])
    )


def signed_lag(source: Audio, decoded: Audio, reach: int = MAX_LAG) -> int:
    """Lag of the highest positive correlation within `reach` samples, channels summed; 0 for silence.

    The rule for documented delays: what the codec's filters leave of the delay is removed, and its polarity is trusted.
    """
    reach = min(reach, source.shape[-1] - 1)
    lags = sorted(range(-reach, reach + 1), key=abs)  # the smallest of equal peaks
    known = _sums(source, decoded, reach)
    correlations = [float(known[lag + reach]) for lag in lags]
    best = int(np.argmax(correlations))
    return lags[best] if correlations[best] > 0 else 0


def _sums(source: Audio, decoded: Audio, reach: int) -> NDArray[np.float64]:
    """Inner products at the lags -reach ... reach, channels summed, offsets included."""
    none = np.zeros((len(source), 1), np.float32)
    total: NDArray[np.float64] = products(source, decoded, range(-reach, reach + 1), none, none).sum(axis=0)
    return total


def fraction_left(source: Audio, decoded: Audio) -> float | None:
    """Fraction of a sample by which `decoded` is still late after the removal of whole samples: -0.5 to 0.5.

    The estimate is the vertex of the parabola through the cross-correlation at lags -1, 0 and 1. It is too small if
    most of the energy lies near half the sample rate: 0.18 for 0.3 samples in white noise.

    Args:
        source, decoded: [channels, time], of equal shape.

    Returns:
        The lag in samples; None for silence, or if the peak is not at lag 0.
    """
    if source.shape[-1] < 2:
        return None
    before, here, after = (float(value) for value in _sums(source, decoded, 1))
    if here <= 0 or here < max(before, after) or before + after == 2 * here:
        return None
    return (before - after) / (2 * (before - 2 * here + after))
