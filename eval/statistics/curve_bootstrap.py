"""Bjontegaard deltas of many pairs of curves at once, for bootstrap intervals over recordings."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Array = NDArray[np.float64]
Bounds = tuple[float, float]

RESAMPLES = 1000
SEED = 20221024
LEAST_FILES = 3
MOST_UNDEFINED = 0.05  # share of resamples without a delta up to which an interval is given


def intervals(kbps: tuple[Array, Array], quality: tuple[Array, Array]) -> tuple[Bounds, Bounds]:
    """95 % confidence intervals of the rate and quality deltas of two codecs, over the recordings both coded.

    Each of 1,000 resamples draws as many recordings as there are, with replacement, and makes both curves of the same
    recordings. The bounds are expanded percentiles (Hesterberg 2015, The American Statistician 69).

    Args:
        kbps, quality: of the two codecs, [recordings, bit rates] each; higher quality is better.

    Returns:
        Bounds of the extra bit rate in percent and of the extra quality of the first codec; NaN for fewer than three
        recordings, or if more than 5 % of the resamples have no delta.
    """
    recordings = len(kbps[0])
    undefined = (math.nan, math.nan)
    if recordings < LEAST_FILES:
        return undefined, undefined
    weights = _weights(recordings)
    rates, qualities = ([weights @ table for table in pair] for pair in (kbps, quality))
    orders = [np.argsort(rate, axis=-1, kind="stable") for rate in rates]
    x = [np.log(np.take_along_axis(rate, order, axis=-1)) for rate, order in zip(rates, orders, strict=True)]
    y = [np.take_along_axis(value, order, axis=-1) for value, order in zip(qualities, orders, strict=True)]
    rising = np.all([(np.diff(curve, axis=-1) > 0).all(axis=-1) for curve in y], axis=0)
    with np.errstate(all="ignore"):
        rate = 100 * np.expm1(mean_gaps(y[0], x[0], y[1], x[1]))
    return _bounds(np.where(rising, rate, math.nan), recordings), _bounds(mean_gaps(x[0], y[0], x[1], y[1]), recordings)


@lru_cache(maxsize=1)  # pairs of codecs often share their recordings
def _weights(recordings: int) -> Array:
    """Weight of each recording in each resample, [resamples, recordings]."""
    rng = np.random.default_rng(SEED)
    drawn = (rng.integers(0, recordings, recordings) for _ in range(RESAMPLES))
    return np.stack([np.bincount(one, minlength=recordings) for one in drawn]) / recordings


def _bounds(values: Array, recordings: int) -> Bounds:
    if np.isnan(values).mean() > MOST_UNDEFINED:
        return math.nan, math.nan
    level = ndtr(-math.sqrt(recordings / (recordings - 1)) * stdtrit(recordings - 1, 0.975))
    low, high = np.nanquantile(values, [level, 1 - level])
    return float(low), float(high)


def mean_gaps(x_a: Array, y_a: Array, x_b: Array, y_b: Array) -> Array:
    """Mean of a(x) - b(x) over the x that both curves cover, for each pair of curves; NaN if there are none.

    Args:
        x_a, y_a, x_b, y_b: [pairs, points], x rising.
    """
    low, high = np.maximum(x_a[:, 0], x_b[:, 0]), np.minimum(x_a[:, -1], x_b[:, -1])
    with np.errstate(all="ignore"):
        gaps = (_areas(x_a, y_a, low, high) - _areas(x_b, y_b, low, high)) / (high - low)
    return np.where(high > low, gaps, math.nan)


def _areas(x: Array, y: Array, low: Array, high: Array) -> Array:
    """Integral from low to high of the monotone piecewise cubic interpolation (Fritsch and Carlson 1980)."""
    step = np.diff(x, axis=-1)
    slope = np.diff(y, axis=-1) / step
    tangent = _tangents(step, slope)
    starts, ends = (np.clip(side, low[:, np.newaxis], high[:, np.newaxis]) for side in (x[:, :-1], x[:, 1:]))

    def value(at: Array) -> Array:
        t = (at - x[:, :-1]) / step
        from_start = y[:, :-1] * (1 + 2 * t) * (1 - t) ** 2 + step * tangent[:, :-1] * t * (1 - t) ** 2
        return np.asarray(from_start + y[:, 1:] * t**2 * (3 - 2 * t) + step * tangent[:, 1:] * t**2 * (t - 1))

    # Simpson's rule is exact for cubics.
    areas = (ends - starts) / 6 * (value(starts) + 4 * value((starts + ends) / 2) + value(ends))
    return np.asarray(areas.sum(axis=-1))


def _tangents(step: Array, slope: Array) -> Array:
    """Tangents at the points: weighted harmonic means of the neighbouring slopes, 0 at an extremum."""
    if slope.shape[-1] == 1:
        return np.repeat(slope, 2, axis=-1)
    before, after = 2 * step[:, 1:] + step[:, :-1], step[:, 1:] + 2 * step[:, :-1]
    alike = slope[:, :-1] * slope[:, 1:] > 0
    inner = np.where(alike, (before + after) / (before / slope[:, :-1] + after / slope[:, 1:]), 0.0)
    first = _end_tangent(step[:, 0], step[:, 1], slope[:, 0], slope[:, 1])
    last = _end_tangent(step[:, -1], step[:, -2], slope[:, -1], slope[:, -2])
    return np.column_stack([first, inner, last])


def _end_tangent(step: Array, next_step: Array, slope: Array, next_slope: Array) -> NDArray[np.floating[Any]]:
    """Three-point formula, limited so that the curve stays monotone."""
    tangent = ((2 * step + next_step) * slope - step * next_slope) / (step + next_step)
    tangent = np.where(np.sign(tangent) != np.sign(slope), 0.0, tangent)
    steep = (np.sign(slope) != np.sign(next_slope)) & (np.abs(tangent) > 3 * np.abs(slope))
    return np.where(steep, 3 * slope, tangent)
