"""The plain cross-correlation near a delay: what remains to be removed for the best match of the waveforms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio
from earmark.eval.alignment.blocks import BLOCK, blocks, energies, means
from earmark.eval.alignment.correlation import TAPS, peak_between
from earmark.eval.alignment.result import MAX_LAG

GAIN_DB = 0.3  # a fraction of a sample is removed if that raises the SI-SNR by this
MOST_BLOCKS = 8  # loudest ones of the source, 10 s, in which the best delay of a long signal is searched


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

    The loudest blocks of a long signal, 10 s or more, decide which delay is best; the height is that of the whole.

    Args:
        source: [channels, time]; decoded: [channels, any time].
    """
    around = reach + TAPS // 2
    first = lag - around
    spans = _loudest(source, _spans(source, decoded, range(first, lag + around + 1)))
    mean = means(source)
    known = products(source, decoded, range(first, lag + around + 1), mean, means(decoded), spans)
    height = np.abs(known).sum(axis=0)
    lags = sorted(range(lag - reach, lag + reach + 1), key=lambda candidate: abs(candidate - lag))
    whole = max(lags, key=lambda candidate: float(height[candidate - first]))  # the nearest of equal peaks
    top, sign = height_at(source, decoded, whole)
    if top == 0:
        return Match(lag, 0.0, 0.0, 1)
    at = whole - first
    curve = np.sign(known[:, at]) @ known[:, at - TAPS // 2 : at + TAPS // 2 + 1]
    fraction = peak_between(curve, TAPS // 2)
    worth = (10 ** (GAIN_DB / 10) - 1) * max(1e-9, 1 - top**2)
    energy = sum(float(energies(source[:, span] - mean).sum()) for span in spans)
    if fraction**2 * sum(_steps(source[:, span]) for span in spans) < worth * energy:
        fraction = 0.0
    return Match(whole, fraction, top, sign)


def height_at(source: Audio, decoded: Audio, lag: int) -> tuple[float, int]:
    """Normalised correlation at one lag, 0 to 1, and the polarity there; 0 and 1 for silence."""
    length, size, mean_x, mean_y = source.shape[-1], decoded.shape[-1], means(source), means(decoded)
    energy = _energy(source, max(0, -lag), min(length, size - lag), mean_x) * _energy(decoded, 0, size, mean_y)
    if energy == 0:
        return 0.0, 1
    here = products(source, decoded, range(lag, lag + 1), mean_x, mean_y)
    return min(1.0, float(np.abs(here).sum()) / math.sqrt(energy)), -1 if here.sum() < 0 else 1


def products(
    source: Audio, decoded: Audio, lags: range, mean_x: Audio, mean_y: Audio, spans: Iterable[slice] | None = None
) -> NDArray[np.float64]:
    """Inner products [channels, lags] of the source with the decoded signal moved earlier by each of the lags.

    Args:
        source: [channels, time]; decoded: [channels, any time].
        lags: consecutive, in samples.
        mean_x, mean_y: [channels, 1], what is subtracted from the signals first.
        spans: parts of the source that count; default: all.
    """
    result = np.zeros((len(source), len(lags)))
    for span in _spans(source, decoded, lags) if spans is None else spans:
        start, stop = span.start, span.stop
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


def _spans(source: Audio, decoded: Audio, lags: range) -> list[slice]:
    """Blocks of the source that the decoded signal meets at any of the lags."""
    first, last = max(0, -lags[-1]), min(source.shape[-1], decoded.shape[-1] - lags[0])
    return [slice(start, min(last, start + BLOCK)) for start in range(first, last, BLOCK)]


def _loudest(audio: Audio, spans: list[slice]) -> list[slice]:
    """At most MOST_BLOCKS of the spans, those with the most energy."""
    if len(spans) <= MOST_BLOCKS:
        return spans
    return sorted(spans, key=lambda span: -float(energies(audio[:, span]).sum()))[:MOST_BLOCKS]


def _energy(audio: Audio, first: int, last: int, mean: Audio) -> float:
    """Energy of a part of [channels, time] without a mean, [channels, 1]."""
    total = 0.0
    for start in range(first, last, BLOCK):
        part = audio[:, start : min(last, start + BLOCK)] - mean
        total += sum(float(np.dot(channel, channel)) for channel in part)
    return total


def _steps(audio: Audio) -> float:
    """Energy of the differences between samples of [channels, time], which is that of a shift by one sample."""
    return sum(
        float(np.dot(steps, steps))
        for part in blocks(audio.shape[-1])
        for steps in np.diff(audio[:, part.start : part.stop + 1], axis=-1)
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
