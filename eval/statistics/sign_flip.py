"""Sign-flip permutation test of a mean difference (Fisher 1935, The Design of Experiments, section 21).

If a difference and its negative are equally likely, every pattern of signs is equally likely. The p value is the share
of patterns whose mean is at least as far from zero as the observed one. The unit whose sign is flipped, a listener or a
group of recordings, is the unit of independence, and the test is about the mean of all observations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

EXACT_UNITS = 16  # up to here all 2^n patterns are enumerated
PATTERNS = (20_000, 100_000)  # least and largest number of patterns drawn for more units, the fewer the more units
DRAWN_UNITS = 1000  # above this number the sum over patterns is normal
SEED = 20221024
_CELLS = 4_000_000  # numbers held in memory at a time
_ALIKE = 1e-9  # relative difference below which two sums count as equal


def sign_flip(sums: NDArray[np.floating[Any]], seed: int = SEED) -> NDArray[np.float64]:
    """Two-sided p values of the hypothesis that a mean difference is zero.

    Args:
        sums: [units, columns] sum of each unit's differences, weighted as in the mean to test; NaN for a unit without.
        seed: seed of the patterns, which are drawn at random for more than `EXACT_UNITS` units.

    Returns:
        [columns]; 1 if all differences are zero, NaN for fewer than two units.
    """
    sums = np.asarray(sums, dtype=np.float64)
    present = ~np.isnan(sums)
    units = present.sum(axis=0)
    p = np.full(sums.shape[1], math.nan)
    for count in np.unique(units[(units >= 2) & (units <= EXACT_UNITS)]):
        columns = np.flatnonzero(units == count)
        known = np.column_stack([sums[present[:, column], column] for column in columns])
        p[columns] = _exact(known)
    if (many := (units > EXACT_UNITS) & (units <= DRAWN_UNITS)).any():
        known = np.nan_to_num(sums[:, many])
        p[many] = _drawn(known[known.any(axis=1)], patterns_drawn(int(units[many].max())), np.random.default_rng(seed))
    if (most := units > DRAWN_UNITS).any():
        p[most] = _normal(np.nan_to_num(sums[:, most]))
    return p


def patterns_drawn(units: int) -> int:
    """Number of random sign patterns for a number of units between `EXACT_UNITS` and `DRAWN_UNITS`."""
    return max(PATTERNS[0], min(PATTERNS[1], 10_000_000 // units))


def least_p(units: int) -> float:
    """Smallest p value that the test can reach: all differences have one sign, so 2 of 2^n patterns are as extreme."""
    if units < 2:
        return 1.0
    if units <= EXACT_UNITS:
        return 2.0 ** (1 - units)
    return 1 / (patterns_drawn(units) + 1) if units <= DRAWN_UNITS else 0.0


def units_needed(tests: int, level: float = 0.05) -> int:
    """Least number of units with which one of several tests can reach a level after Holm's correction."""
    return next(units for units in range(2, 100) if tests * 2.0 ** (1 - units) < level)


def _exact(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of all sign patterns; the first unit keeps its sign, since a pattern and its opposite are alike."""
    units = len(sums)
    patterns = np.arange(2 ** (units - 1))[:, np.newaxis] >> np.arange(units - 1) & 1
    signs = np.column_stack([np.ones(len(patterns)), 1.0 - 2 * patterns])
    return _extreme(signs, sums) / len(signs)


def _drawn(sums: NDArray[np.float64], patterns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The same with random patterns, among which the observed one counts (Phipson and Smyth 2010)."""
    extreme = np.ones(sums.shape[1])
    if not sums.any():
        return extreme
    for first in range(0, patterns, step := max(1, _CELLS // len(sums))):
        rows = min(step, patterns - first)
        bits = np.unpackbits(rng.integers(0, 256, (rows, -(-len(sums) // 8)), dtype=np.uint8), axis=1)
        extreme += _extreme(1 - 2 * bits[:, : len(sums)].astype(np.float64), sums)
    return extreme / (patterns + 1)


def _normal(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The limit for many units: the sum over random signs is normal with the sum of squares as its variance."""
    scale = np.sqrt((sums**2).sum(axis=0))
    with np.errstate(invalid="ignore"):
        return np.where(scale > 0, 2 * ndtr(-np.abs(sums.sum(axis=0)) / scale), 1.0)


def _extreme(signs: NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Number of patterns whose sum is as far from zero as the observed one, per column."""
    observed = np.abs(sums.sum(axis=0))
    tolerance = _ALIKE * np.abs(sums).sum(axis=0)
    count = np.zeros(sums.shape[1])
    for first in range(0, sums.shape[1], step := max(1, _CELLS // len(signs))):
        block = slice(first, first + step)
        count[block] = (np.abs(signs @ sums[:, block]) >= observed[block] - tolerance[block]).sum(axis=0)
    return count
