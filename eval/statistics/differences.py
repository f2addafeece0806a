"""Paired differences between systems over files: intervals, win rates, significance, outliers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from earmark.codec.suggestions import choose
from earmark.eval.metrics import registry
from earmark.eval.statistics.aggregate import mean_interval
from earmark.eval.statistics.scales import by_category, decimals_of, lower_is_better

FEW = 30  # below this many files the bootstrap is too narrow: with 10 files it covers 90 % where it claims 95
RESAMPLES = 5000
SEED = 20221024
_CELLS = 4_000_000  # numbers held in memory at a time while resampling
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """System `a` against system `b` in one category by one metric, over the n files for which both have a score.

    Args:
        mean: mean of a's scores minus b's, in the metric's unit.
        ci95_low, ci95_high: confidence interval of that mean over files: Student's t for fewer than `FEW` files,
            otherwise percentile bootstrap.
        win_rate: share of the files on which `a` is better; a tie counts half.
        p: Wilcoxon's signed-rank test, two-sided; NaN for fewer than two files.
        p_holm: p after Holm's correction over all pairs of this category and metric.
        decimals: number of decimals for the metric's means.
    """

    metric: str
    category: str
    a: str
    b: str
    n: int
    mean: float
    ci95_low: float
    ci95_high: float
    win_rate: float
    p: float
    p_holm: float
    decimals: int = 2

    @property
    def significant(self) -> bool:
        return self.p_holm < LEVEL


def differences(
    scores: pd.DataFrame, metric: str, against: str | None = None, speech_categories: Collection[str] = ()
) -> list[Difference]:
    """Compare every pair of systems in every category, and over all files if their scores share one scale.

    The bootstrap draws the same files for all pairs and in every call.

    Args:
        scores: rows of RUN/scores.parquet.
        against: compare all other systems with this one only.
        speech_categories: categories that a metric with modes scored in speech mode.

    Raises:
        UserError: the run has no such metric or system.
    """
    rows = _rows(scores, metric)
    systems = list(rows["system"].unique())
    if against is not None:
        against = choose(against, systems, option="--against")
    pairs = [
        (b, a) if a == against else (a, b)
        for a, b in itertools.combinations(systems, 2)
        if against is None or against in (a, b)
    ]
    decimals = decimals_of(rows.groupby(["system", "category"])["value"].mean())
    result: list[Difference] = []
    for category, block in by_category(rows, metric, speech_categories):
        values = block.pivot_table(index="file", columns="system", values="value", sort=False)
        result += _compare(values.reindex(columns=systems), pairs, metric, category, decimals)
    return result


def _rows(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric that have a score."""
    choose(metric, scores["metric"].unique(), option="--metrics")
    return scores[(scores["metric"] == metric) & (scores["status"] == "ok")]


def _compare(
    values: pd.DataFrame, pairs: Sequence[tuple[str, str]], metric: str, category: str, decimals: int
) -> list[Difference]:
    """Compare the pairs in one category; values: a row per file, a column per system."""
    sign = -1.0 if lower_is_better(metric) else 1.0
    gaps = np.column_stack([values[a].to_numpy() - values[b].to_numpy() for a, b in pairs] or [np.zeros(0)])
    lows, highs = _bootstrap(gaps)
    tests = [_signed_rank(gaps[:, index]) for index in range(len(pairs))]
    result = []
    for index, ((a, b), p, p_holm) in enumerate(zip(pairs, tests, holm(tests), strict=True)):
        gap = gaps[~np.isnan(gaps[:, index]), index]
        mean, half_width, n = mean_interval(gap)
        low, high = (lows[index], highs[index]) if n >= FEW else (mean - half_width, mean + half_width)
        wins = float(((sign * gap > 0) + 0.5 * (gap == 0)).mean()) if n else math.nan
        result.append(Difference(metric, category, a, b, n, mean, low, high, wins, p, p_holm, decimals))
    return result


def _bootstrap(gaps: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Bounds of the central 95 % of resampled means, per column of [files, pairs]; NaN entries are ignored.

    The bounds are NaN for columns with fewer than `FEW` files.
    """
    files = len(gaps)
    if files < FEW:
        return [math.nan] * gaps.shape[1], [math.nan] * gaps.shape[1]
    rng = np.random.default_rng(SEED)
    present = ~np.isnan(gaps)
    known, weights = np.where(present, gaps, 0.0), present.astype(np.float64)
    means = []
    for first in range(0, RESAMPLES, step := max(1, _CELLS // files)):
        drawn = rng.multinomial(files, np.full(files, 1 / files), min(step, RESAMPLES - first)).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((drawn @ known) / (drawn @ weights))
    with np.errstate(all="ignore"):
        lows, highs = np.nanquantile(np.concatenate(means), [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    few = present.sum(axis=0) < FEW
    return np.where(few, np.nan, lows).tolist(), np.where(few, np.nan, highs).tolist()


def _signed_rank(gap: NDArray[np.float64]) -> float:
    gap = gap[~np.isnan(gap)]
    if len(gap) < 2:
        return math.nan
    return float(wilcoxon(gap).pvalue) if gap.any() else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values by Holm's step-down method (Holm 1979); NaN does not count as a test."""
    tested = sorted((value, index) for index, value in enumerate(p) if not math.isnan(value))
    corrected, largest = [math.nan] * len(p), 0.0
    for rank, (value, index) in enumerate(tested):
        largest = max(largest, min(1.0, value * (len(tested) - rank)))
        corrected[index] = largest
    return corrected


def outliers(scores: pd.DataFrame, metric: str, count: int) -> pd.DataFrame:
    """The files on which each system falls farthest behind its median; none for a system that scores all files alike.

    Args:
        count: number of files per system.

    Returns:
        Columns system, category, file, value and gap (value minus the median of its system and category), the worst
        first.

    Raises:
        UserError: the run has no such metric.
    """
    rows = _rows(scores, metric)[["system", "category", "file", "value"]].copy()
    rows["gap"] = rows["value"] - rows.groupby(["system", "category"])["value"].transform("median")
    lower = lower_is_better(metric)
    behind = rows[rows["gap"] > 0] if lower else rows[rows["gap"] < 0]
    worst_first = behind.sort_values("gap", ascending=not lower, kind="stable")
    return worst_first.groupby("system", sort=False).head(count).reset_index(drop=True)


def lowest_p(pairs: Sequence[Difference]) -> float:
    """The lowest p, corrected by Holm, that the pairs of one category can reach; 1 without any test.

    If one system is better on all n files, Wilcoxon's p is 2 / 2^n, which Holm multiplies by the number of pairs.
    """
    tested = [pair.n for pair in pairs if not math.isnan(pair.p)]
    return min(1.0, len(tested) * 2.0 ** (1 - max(tested))) if tested else 1.0


def metrics_of(scores: pd.DataFrame) -> list[str]:
    """The metrics of a run that are known here, in the run's order."""
    known = {*registry.BY_CATEGORY, *registry.registered()}
    return [name for name in scores["metric"].unique() if name in known]
