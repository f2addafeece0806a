"""The plain cross-correlation near a delay: what remains to be removed for the best match of the waveforms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio
from earmark.eval.alignment.correlation import TAPS, peak_between

MAX_LAG = 10  # samples; a longer search would hide a wrong documented delay
BLOCK = 2**16  # samples per product, so that sums of float32 stay accurate
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
    x, y = (audio - audio.mean(axis=-1, keepdims=True) for audio in (source, decoded))
    lags = sorted(range(lag - reach, lag + reach + 1), key=lambda candidate: abs(candidate - lag))
    known = {candidate: products(x, y, candidate) for candidate in lags}
    whole = max(lags, key=lambda candidate: float(np.abs(known[candidate]).sum()))  # the nearest of equal peaks
    middle = known[whole]
    energy_x, energy_y = _energy(x, max(0, -whole), y.shape[-1] - whole), _energy(y, 0, y.shape[-1])
    if energy_x == 0 or energy_y == 0:
        return Match(lag, 0.0, 0.0, 1)
    height = min(1.0, float(np.abs(middle).sum()) / np.sqrt(energy_x * energy_y))
    signs = np.sign(middle)
    near = range(whole - TAPS // 2, whole + TAPS // 2 + 1)
    curve = np.array([signs @ (known[one] if one in known else products(x, y, one)) for one in near])
    fraction = peak_between(curve, TAPS // 2)
    slope = np.square(np.diff(x, axis=-1), dtype=np.float64).sum() / max(energy_x, 1e-30)  # of a shift by one sample
    noise = max(1e-9, 1 - height**2)
    if fraction**2 * slope < (10 ** (GAIN_DB / 10) - 1) * noise:
        fraction = 0.0
    return Match(whole, fraction, height, -1 if middle.sum() < 0 else 1)


def height_at(source: Audio, decoded: Audio, lag: int) -> tuple[float, int]:
    """Normalised correlation at one lag, 0 to 1, and the polarity there; 0 and 1 for silence."""
    x, y = (audio - audio.mean(axis=-1, keepdims=True) for audio in (source, decoded))
    energy = _energy(x, -lag, y.shape[-1] - lag) * _energy(y, 0, y.shape[-1])
    here = products(x, y, lag)
    height = float(np.abs(here).sum()) / math.sqrt(energy) if energy > 0 else 0.0
    return min(1.0, height), -1 if here.sum() < 0 else 1


def products(x: Audio, y: Audio, lag: int) -> NDArray[np.float64]:
    """Inner products [channels] of the source with the decoded signal moved earlier by `lag` samples."""
    first, last = max(0, -lag), min(x.shape[-1], y.shape[-1] - lag)
    result = np.zeros(len(x))
    for start in range(first, last, BLOCK):
        stop = min(last, start + BLOCK)
        for channel in range(len(x)):
            result[channel] += np.dot(x[channel, start:stop], y[channel, start + lag : stop + lag])
    return result


def _energy(audio: Audio, first: int, last: int) -> float:
    part = audio[:, max(0, first) : max(0, last)]
    return float(sum(np.dot(channel[start : start + BLOCK], channel[start : start + BLOCK])
                     for channel in part for start in range(0, part.shape[-1], BLOCK)))  # fmt: skip


def signed_lag(source: Audio, decoded: Audio, reach: int = MAX_LAG) -> int:
    """Lag of the highest positive correlation within `reach` samples, channels summed; 0 for silence.

    The rule for documented delays: what the codec's filters leave of the delay is removed, and its polarity is trusted.
    """
    reach = min(reach, source.shape[-1] - 1)
    lags = sorted(range(-reach, reach + 1), key=abs)  # the smallest of equal peaks
    correlations = [float(_product(source, decoded, lag)) for lag in lags]
    best = int(np.argmax(correlations))
    return lags[best] if correlations[best] > 0 else 0


def _product(source: Audio, decoded: Audio, lag: int) -> float:
    first, last = max(0, -lag), min(source.shape[-1], decoded.shape[-1] - lag)
    return float(np.vdot(source[:, first:last], decoded[:, first + lag : last + lag]))


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
    before, here, after = (_product(source, decoded, lag) for lag in (-1, 0, 1))
    if here <= 0 or here < max(before, after) or before + after == 2 * here:
        return None
    return (before - after) / (2 * (before - 2 * here + after))
