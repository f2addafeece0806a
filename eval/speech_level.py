"""Active speech level (ITU-T P.56 (12/2011), method B): the level of speech without its pauses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

TIME_CONSTANT = 0.03  # s, of both exponential averages of the envelope
HANGOVER = 0.2  # s, for which speech counts as active after the envelope has fallen below a threshold
MARGIN = 15.9  # dB between the active level and its threshold
THRESHOLDS = 2.0 ** np.arange(-24, 0)  # full scale is 1; P.56 has as many as a 16-bit signal needs, here 24


@dataclass(frozen=True)
class SpeechLevel:
    """Levels in dBov (0 dBov: a square wave of full scale, so that a full-scale sine has -3.01), None for silence.

    Args:
        active: level of the active parts.
        activity: share of the time that is active, from 0 to 1.
        long_term: level of the whole, pauses included.
        peak: highest absolute sample.
    """

    active: float | None
    activity: float
    long_term: float | None
    peak: float | None


def speech_level(signal: NDArray[np.float32], sample_rate: int) -> SpeechLevel:
    """Measure the active speech level.

    Args:
        signal: one channel, [time], full scale at 1.
        sample_rate: in Hz.
    """
    x = signal.astype(np.float64)
    energy = float(x @ x)
    if energy == 0:
        return SpeechLevel(None, 0.0, None, None)
    envelope = _envelope(x, sample_rate)
    hangover = math.ceil(HANGOVER * sample_rate)
    points = []  # level of the active parts less threshold, and that level, by rising threshold
    for threshold in THRESHOLDS:
        count = _active_samples(envelope >= threshold, hangover)
        if count == 0:
            break
        level = 10 * math.log10(energy / count)
        points.append((level - 20 * math.log10(threshold), level))
    long_term = 10 * math.log10(energy / len(x))
    active = _at_margin(points, long_term)
    return SpeechLevel(active, 10 ** ((long_term - active) / 10), long_term, 20 * math.log10(float(np.abs(x).max())))


def _envelope(x: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """The rectified signal, averaged exponentially twice."""
    g = math.exp(-1 / (TIME_CONSTANT * sample_rate))
    once = lfilter([1 - g], [1, -g], np.abs(x))
    return np.asarray(lfilter([1 - g], [1, -g], once))


def _active_samples(above: NDArray[np.bool_], hangover: int) -> int:
    """Samples above the threshold, and up to `hangover` samples after each of them."""
    places = np.flatnonzero(above)
    gaps = np.diff(places, append=len(above))
    return int(np.minimum(gaps, hangover + 1).sum())


def _at_margin(points: list[tuple[float, float]], long_term: float) -> float:
    """The level where it is `MARGIN` above the threshold, interpolated between thresholds.

    A signal too short or too faint to reach the margin counts as active throughout.
    """
    for (wider, below), (narrower, above) in pairwise(points):
        if narrower <= MARGIN < wider:
            return below + (above - below) * (wider - MARGIN) / (wider - narrower)
    return long_term
