"""Bootstrap-t interval of a mean: for skewed values, and for values in groups that are not independent.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 12.5. Each resample draws whole units, a recording
or a group of them, and yields a t statistic with its own standard error, cluster-robust by linearisation (Cameron and
Miller 2015, Journal of Human Resources 50). Where values are skewed, so are these statistics, and the interval becomes
longer on the side of the long tail, whereas that of Student's t is symmetric and too short there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from earmark.eval.statistics.aggregate import FEWEST_FOR_INTERVAL

Array = NDArray[np.float64]

RESAMPLES = 2000
SEED = 20221024
FEW = 5  # below this many units Student's t is used: so few values say nothing about skewness
_CELLS = 4_000_000  # numbers held in memory at a time


@dataclass(frozen=True)
class Stratum:
    """Values of one stratum, summed by unit.

    Args:
        sums: [units, columns] sum of each unit's values; 0 for a unit without.
        counts: [units, columns] number of its values.
    """

    sums: Array
    counts: Array


@dataclass(frozen=True)
class Means:
    """Means with 95 % confidence intervals, [columns] each.

    Args:
        mean: average over the strata of the mean of their values; NaN if a stratum has none.
        low, high: bounds; NaN for fewer than two units.
        units: number of units with values.
    """

    mean: Array
    low: Array
    high: Array
    units: NDArray[np.int64]


def means(strata: Sequence[Stratum]) -> Means:
    """Estimate means with intervals: bootstrap-t, or Student's t for fewer than `FEW` units.

    Args:
        strata: one for a mean over all values; several for the average of their means, each with the same weight.
    """
    parts = [_estimate(stratum.sums, stratum.counts) for stratum in strata]
    mean = np.mean([part[0] for part in parts], axis=0)
    error = np.sqrt(np.sum([part[1] for part in parts], axis=0)) / len(strata)
    units = np.sum([(stratum.counts > 0).sum(axis=0) for stratum in strata], axis=0)
    degrees = np.maximum(units - len(strata), 1)
    reach = np.where(units - len(strata) + 1 >= FEWEST_FOR_INTERVAL, stdtrit(degrees, 0.975), np.nan) * error
    low, high = mean - reach, mean + reach
    enough = units - len(strata) + 1 >= FEW
    if enough.any():
        centred = [
            Stratum(one.sums[:, enough] - part[0][enough] * one.counts[:, enough], one.counts[:, enough])
            for one, part in zip(strata, parts, strict=True)
        ]
        lower, upper = _quantiles(centred, error[enough])
        low[enough], high[enough] = mean[enough] - upper * error[enough], mean[enough] - lower * error[enough]
    return Means(mean, low, high, units)


def _estimate(sums: Array, counts: Array) -> tuple[Array, Array]:
    """Mean and its cluster-robust variance, per column."""
    total = counts.sum(axis=0)
    units = (counts > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(axis=0) / total
        residuals = sums - mean * counts
        variance = (residuals**2).sum(axis=0) * units / (units - 1) / total**2
    return mean, variance


def _quantiles(strata: Sequence[Stratum], error: Array) -> tuple[Array, Array]:
    """The 2.5 and 97.5 % quantiles of the resampled t statistics of values whose mean is 0, per column."""
    rng = np.random.default_rng(SEED)
    moved, variance = np.zeros((RESAMPLES, len(error))), np.zeros((RESAMPLES, len(error)))
    for stratum in strata:
        part_mean, part_variance = _resampled(stratum, rng)
        moved += part_mean / len(strata)
        variance += part_variance / len(strata) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        # A resample whose values are all the same has no standard error, and no statistic.
        statistics = np.where(variance > 1e-12 * error**2, moved / np.sqrt(variance), np.nan)
    empty = np.isnan(statistics).all(axis=0)
    statistics[:, empty] = 0.0
    low, high = np.nanquantile(statistics, [0.025, 0.975], axis=0)
    return low, high


def _resampled(stratum: Stratum, rng: np.random.Generator) -> tuple[Array, Array]:
    """Means and their variances in resamples of the units, [resamples, columns]."""
    sums, counts = stratum.sums, stratum.counts
    units = len(sums)
    squares = (sums**2, sums * counts, counts**2)
    blocks = []
    for first in range(0, RESAMPLES, step := max(1, _CELLS // units)):
        drawn = rng.multinomial(units, np.full(units, 1 / units), min(step, RESAMPLES - first)).astype(np.float64)
        total, n = drawn @ counts, drawn @ (counts > 0).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (drawn @ sums) / total
            residuals = drawn @ squares[0] - 2 * mean * (drawn @ squares[1]) + mean**2 * (drawn @ squares[2])
            blocks.append((mean, np.maximum(residuals, 0) * n / (n - 1) / total**2))
    return np.concatenate([mean for mean, _ in blocks]), np.concatenate([variance for _, variance in blocks])
