"""Size of a listening test that finds a difference: listeners needed for these items, and for other items too.

The number of listeners is found by the noncentral t distribution and then checked by simulation with the tests of the
report: normal differences d = difference + listener + item + error of random listeners, and of fixed or random items.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import nct
from scipy.stats import t as student

from earmark.eval.statistics.sign_flip import sign_flip, units_needed
from earmark.mushra_app.analysis.crossed import dense_sums, estimate, sums_of

LEVEL = 0.05
MOST_LISTENERS = 2000
SIMULATED = 1000
SEED = 0
_CELLS = 4_000_000  # differences held in memory at a time


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the difference between two systems, in scale points.

    Args:
        listener: between listeners' mean differences.
        item: between items' mean differences.
        error: of the rest, in a single trial.
    """

    listener: float
    item: float
    error: float


# Listeners' preferences of 6 points per system, items' of 5, errors of 10, each times sqrt(2): see docs/explanation.
TYPICAL = Spread(6 * math.sqrt(2), 5 * math.sqrt(2), 10 * math.sqrt(2))


@dataclass(frozen=True)
class Plan:
    """Size of a test.

    Args:
        items: items of the test.
        trials: items that each listener rates.
        listeners: listeners needed, after screening; None if no number is enough with these items.
        power: share of simulated tests that find the difference; NaN without listeners.
    """

    items: int
    trials: int
    listeners: int | None
    power: float


def spread_of(frame: pd.DataFrame, systems: Collection[str]) -> Spread | None:
    """Standard deviations in a pilot, from the variances averaged over the pairs of systems; None without a pair.

    Args:
        frame: ratings: listener, item, condition, score.
        systems: conditions to compare.
    """
    wide = frame[frame["condition"].isin(list(systems))].set_index(["listener", "item", "condition"])["score"].unstack()
    listener, item = (pd.factorize(wide.index.get_level_values(name))[0] for name in ("listener", "item"))
    variances = []
    for index, first in enumerate(wide.columns):
        for second in wide.columns[index + 1 :]:
            gaps = (wide[first] - wide[second]).to_numpy(float)
            known = ~np.isnan(gaps)
            result = estimate(sums_of(gaps[known], listener[known], item[known]))
            if np.isfinite(result.error):
                variances.append([float(result.listener), float(result.item), float(result.residual)])
    return Spread(*np.sqrt(np.mean(variances, axis=0)).tolist()) if variances else None


def plan(
    difference: float, power: float, items: int, trials: int, spread: Spread, *, other_items: bool, pairs: int = 1
) -> Plan:
    """Find the least number of listeners.

    Args:
        difference: between two systems, in scale points.
        power: wanted probability to find it.
        items: items of the test.
        trials: items that each listener rates, at most `items`.
        other_items: whether the finding is to hold for other items too.
        pairs: pairs of systems tested, for each of which the level is 0.05 / pairs (the first step of Holm's method).
    """
    level = LEVEL / pairs
    least = max(units_needed(pairs), -(-items // trials))
    candidates = np.arange(least, MOST_LISTENERS + 1)
    expected = _expected_power(difference, candidates, items, trials, spread, level, other_items)
    enough = np.flatnonzero(expected >= power)
    if not len(enough):
        return Plan(items, trials, None, math.nan)
    listeners = int(candidates[enough[0]])
    reached = simulate(difference, listeners, items, trials, spread, level, other_items=other_items)
    while reached < power - 0.01 and listeners < MOST_LISTENERS:  # the standard error of a simulated power is 1 %
        listeners += max(1, listeners // 20)
        reached = simulate(difference, listeners, items, trials, spread, level, other_items=other_items)
    return Plan(items, trials, listeners, reached)


def _expected_power(
    difference: float, listeners: NDArray[np.int64], items: int, trials: int, spread: Spread, level: float,
    other_items: bool,
) -> NDArray[np.float64]:  # fmt: skip
    """Power of Student's t with the variances known on average, for each number of listeners."""
    n = listeners * trials
    error = spread.error**2 / n
    of_listeners = spread.listener**2 / listeners + error
    if other_items:
        of_items = spread.item**2 / items + error
        variance = of_listeners + of_items - error
        rest = np.maximum(n - listeners - items + 1, 1)
        parts = (of_listeners**2 / (listeners - 1), of_items**2 / max(items - 1, 1), error**2 / rest)
        degrees = variance**2 / sum(parts)
    else:
        # Listeners who rate different items differ by their items too.
        variance = of_listeners + spread.item**2 * (1 - trials / items) / n
        degrees = listeners - 1.0
    bound = student.ppf(1 - level / 2, degrees)
    return np.asarray(nct.sf(bound, degrees, difference / np.sqrt(variance)))


def simulate(
    difference: float, listeners: int, items: int, trials: int, spread: Spread, level: float, *, other_items: bool
) -> float:
    """Share of simulated tests in which the report's test finds the difference.

    Items are drawn anew for each test if the finding is to hold for other items; otherwise the difference is that of
    the items of the test.
    """
    rng = np.random.default_rng(SEED)
    start = np.arange(listeners)[:, np.newaxis] * trials  # listeners take turns, so that items are rated alike
    rated = np.zeros((listeners, items), bool)
    np.put_along_axis(rated, (start + np.arange(trials)) % items, True, axis=1)
    weight = rated.sum(axis=0) / rated.sum()
    found = []
    for first in range(0, SIMULATED, step := max(1, _CELLS // rated.size)):
        tests = min(step, SIMULATED - first)
        of_items = rng.normal(0, spread.item, (tests, 1, items))
        if not other_items:
            of_items -= of_items @ weight[:, np.newaxis]
        gaps = difference + of_items + rng.normal(0, spread.listener, (tests, listeners, 1))
        gaps = np.where(rated, gaps + rng.normal(0, spread.error, (tests, listeners, items)), np.nan)
        p = estimate(dense_sums(gaps)).p() if other_items else sign_flip(np.nansum(gaps, axis=2).T)
        found.append((p < level) & (np.nanmean(gaps, axis=(1, 2)) > 0))
    return float(np.mean(np.concatenate(found)))
