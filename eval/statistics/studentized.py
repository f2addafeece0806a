"""Bootstrap-t interval and p value of a mean: for skewed values, and for values in groups that are not independent.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 12.5. Each resample draws whole units, a recording
or a group of them, and yields a t statistic with its own standard error, cluster-robust by linearisation (Cameron and
Miller 2015, Journal of Human Resources 50). Where values are skewed, so are these statistics, and the interval becomes
longer on the side of the long tail, whereas that of Student's t is symmetric and too short there. On neither side is
it shorter than Student's t: bootstrap-t on its own errs in 7 % of the cases with 30 lognormal values. The p value
inverts the interval: it is below 0.05 where the 95 % interval does not contain zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from earmark.eval.statistics.aggregate import FEWEST_FOR_INTERVAL

Array = NDArray[np.float64]

RESAMPLES = 10_000
SEED = 20221024
FEW = 5  # below this many units Student's t is used: so few values say nothing about skewness
FEW_IF_SKEWED = 25  # below this many units the interval may hold strongly skewed values too rarely
_CELLS = 4_000_000  # numbers held in memory at a time
_ALIKE = 1e-9  # ratio of standard error to mean below which all values count as the same


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
        low, high: bounds; NaN for fewer than three units.
        p: two-sided p value of the hypothesis that the mean is zero; NaN for fewer than three units.
        units: number of units with values.
    """

    mean: Array
    low: Array
    high: Array
    p: Array
    units: NDArray[np.int64]


def means(strata: Sequence[Stratum], resamples: int = RESAMPLES) -> Means:
    """Estimate means with intervals and p values: bootstrap-t, or Student's t for fewer than `FEW` units.

    Args:
        strata: one for a mean over all values; several for the average of their means, each with the same weight.
    """
    parts = [_estimate(stratum.sums, stratum.counts) for stratum in strata]
    mean = np.mean([part[0] for part in parts], axis=0)
    error = np.sqrt(np.sum([part[1] for part in parts], axis=0)) / len(strata)
    units = np.sum([(stratum.counts > 0).sum(axis=0) for stratum in strata], axis=0)
    degrees = np.maximum(units - len(strata), 1)
    reach = stdtrit(degrees, 0.975)
    lower, upper = -reach, reach.copy()  # quantiles of the t statistic
    constant = error <= _ALIKE * np.abs(mean)  # its t statistic is infinite
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = np.where(constant, 0.0, mean / error)
    p = 2 * stdtr(degrees, -np.abs(statistic))
    if (varied := (units - len(strata) + 1 >= FEW) & ~constant & np.isfinite(error)).any():
        centred = [
            Stratum(one.sums[:, varied] - part[0][varied] * one.counts[:, varied], one.counts[:, varied])
            for one, part in zip(strata, parts, strict=True)
        ]
        drawn = _statistics(centred, error[varied], resamples)
        low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
        lower[varied], upper[varied] = np.fmin(lower[varied], low), np.fmax(upper[varied], high)
        p[varied] = np.maximum(p[varied], _tails(drawn, statistic[varied]))
    p[constant] = np.where(mean == 0, 1.0, least_p(units))[constant]
    known = units - len(strata) + 1 >= FEWEST_FOR_INTERVAL
    low, high = np.where(known, mean - upper * error, np.nan), np.where(known, mean - lower * error, np.nan)
    return Means(mean, low, high, np.where(known, p, np.nan), units)


def least_p(units: NDArray[np.int64] | int) -> Array:
    """p of values that are all the same, which have no standard error: that of a sign test, 2 of 2^units patterns."""
    return np.asarray(2.0 ** (1 - np.asarray(units, np.float64)))


def resolution(resamples: int = RESAMPLES) -> float:
    """Smallest p value that resamples can show."""
    return 2 / (resamples + 1)


def _estimate(sums: Array, counts: Array) -> tuple[Array, Array]:
    """Mean and its cluster-robust variance, per column."""
    total = counts.sum(axis=0)
    units = (counts > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(axis=0) / total
        residuals = sums - mean * counts
        variance = (residuals**2).sum(axis=0) * units / (units - 1) / total**2
    return mean, variance


def _statistics(strata: Sequence[Stratum], error: Array, resamples: int) -> Array:
    """t statistics of resamples of values whose mean is 0, [resamples, columns]; NaN where all values are the same."""
    rng = np.random.default_rng(SEED)
    moved, variance = np.zeros((resamples, len(error))), np.zeros((resamples, len(error)))
    for stratum in strata:
        part_mean, part_variance = _resampled(stratum, rng, resamples)
        moved += part_mean / len(strata)
        variance += part_variance / len(strata) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        # A resample whose values are all the same has no standard error, and no statistic.
        statistics = np.where(variance > 1e-12 * error**2, moved / np.sqrt(variance), np.nan)
    statistics[:, np.isnan(statistics).all(axis=0)] = 0.0
    return statistics


def _tails(drawn: Array, statistic: Array) -> Array:
    """Two-sided p values: twice the share of resamples beyond the statistic, which counts as one of them."""
    number = (~np.isnan(drawn)).sum(axis=0)
    above, below = (drawn >= statistic).sum(axis=0), (drawn <= statistic).sum(axis=0)
    return np.asarray(np.minimum(2 * (np.minimum(above, below) + 1) / (number + 1), 1.0))


def _resampled(stratum: Stratum, rng: np.random.Generator, resamples: int) -> tuple[Array, Array]:
    """Means and their variances in resamples of the units, [resamples, columns]."""
    sums, counts = stratum.sums, stratum.counts
    units = len(sums)
    squares = (sums**2, sums * counts, counts**2)
    blocks = []
    for first in range(0, resamples, step := max(1, _CELLS // units)):
        drawn = rng.multinomial(units, np.full(units, 1 / units), min(step, resamples - first)).astype(np.float64)
        total, n = drawn @ counts, drawn @ (counts > 0).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (drawn @ sums) / total
            residuals = drawn @ squares[0] - 2 * mean * (drawn @ squares[1]) + mean**2 * (drawn @ squares[2])
            blocks.append((mean, np.maximum(residuals, 0) * n / (n - 1) / total**2))
    return np.concatenate([mean for mean, _ in blocks]), np.concatenate([variance for _, variance in blocks])
