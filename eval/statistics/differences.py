"""Paired differences between systems over files: intervals, win rates, significance, outliers.

The interval and the p value are about the same number, the mean difference, and of one method, bootstrap-t: p is below
0.05 where the 95 % interval does not contain zero. Wilcoxon's test, which is about the median of averaged pairs, may
find a system better whose mean is worse.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from earmark.codec.suggestions import choose
from earmark.eval.metrics import registry
from earmark.eval.statistics import studentized
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.statistics.macro import MACRO
from earmark.eval.statistics.scales import by_category, decimals_of, lower_is_better
from earmark.eval.statistics.signed_rank import signed_rank_p
from earmark.eval.statistics.studentized import RESAMPLES, Stratum, least_p, resolution

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """System `a` against system `b` in one category by one metric, over the n files for which both have a score.

    Args:
        mean: mean of a's scores minus b's, in the metric's unit; in the category "macro" the mean of the categories'
            means.
        ci95_low, ci95_high: confidence interval of that mean (`earmark.eval.statistics.studentized`).
        win_rate: share of the files on which `a` is better; a tie counts half.
        p: two-sided p of that mean, by inversion of that interval; NaN for fewer than three files.
        p_holm: p after Holm's correction over all pairs of this category and metric.
        decimals: number of decimals for the metric's means.
        median: median of a's scores minus b's.
        p_wilcoxon: Wilcoxon's signed-rank test over files, two-sided; NaN for fewer than two files.
        clusters: number of groups of files that the interval and p take as the units of independence; n without groups.
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
    median: float = math.nan
    p_wilcoxon: float = math.nan
    clusters: int = 0

    @property
    def significant(self) -> bool:
        return self.p_holm < LEVEL

    @property
    def is_constant(self) -> bool:
        """Whether the differences of all files are the same and not zero."""
        return self.mean != 0 and self.ci95_high - self.ci95_low <= 1e-7 * abs(self.mean)

    @property
    def disagrees(self) -> bool:
        """Whether mean and median have opposite signs, though one of the tests on its own finds a difference."""
        return self.mean * self.median < 0 and min(self.p, self.p_wilcoxon) < LEVEL


def differences(
    scores: pd.DataFrame,
    metric: str,
    against: str | None = None,
    speech_categories: Collection[str] = (),
    *,
    clusters: Mapping[str, str] | None = None,
    macro: bool = False,
) -> list[Difference]:
    """Compare every pair of systems in every category, and over all files if their scores share one scale.

    The bootstrap draws the same files for all pairs and in every call.

    Args:
        scores: rows of RUN/scores.parquet.
        against: compare all other systems with this one only.
        speech_categories: categories that a metric with modes scored in speech mode.
        clusters: file -> group, for files that are not independent, e.g. those of one talker; see
            `earmark.eval.statistics.clusters`.
        macro: whether to add the category "macro" where there is "all": the average over the categories of their means,
            each with the same weight.

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
        values = block.pivot_table(index="file", columns="system", values="value", sort=False).reindex(columns=systems)
        units = values.index.map(clusters) if clusters is not None else values.index
        result += _compare(values, [np.ones(len(values), bool)], units, pairs, metric, category, decimals)
        if macro and category == ALL:
            named = block.drop_duplicates("file").set_index("file")["category"].reindex(values.index)
            strata = [(named == name).to_numpy() for name in named.unique()]
            result += _compare(values, strata, units, pairs, metric, MACRO, decimals)
    return result


def _rows(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric that have a score."""
    choose(metric, scores["metric"].unique(), option="--metrics")
    return scores[(scores["metric"] == metric) & (scores["status"] == "ok")]


def _compare(
    values: pd.DataFrame, strata: Sequence[NDArray[np.bool_]], units: pd.Index[Any], pairs: Sequence[tuple[str, str]],
    metric: str, category: str, decimals: int,
) -> list[Difference]:  # fmt: skip
    """Compare the pairs in one category.

    Args:
        values: a row per file, a column per system.
        strata: the files of each stratum, whose means are averaged.
        units: group of each file.
    """
    sign = -1.0 if lower_is_better(metric) else 1.0
    gaps = np.column_stack(
        [values[a].to_numpy() - values[b].to_numpy() for a, b in pairs] or [np.zeros((len(values), 0))]
    )
    codes = pd.factorize(units)[0]
    parts = [Stratum(*_summed(gaps[stratum], codes[stratum])) for stratum in strata]
    means = studentized.means(parts, resamples_for(len(pairs)))
    tests = means.p.tolist()
    result = []
    for index, ((a, b), p, p_holm) in enumerate(zip(pairs, tests, holm(tests), strict=True)):
        gap = gaps[~np.isnan(gaps[:, index]), index]
        n = len(gap)
        wins = float(((sign * gap > 0) + 0.5 * (gap == 0)).mean()) if n else math.nan
        result.append(
            Difference(
                metric, category, a, b, n, float(means.mean[index]), float(means.low[index]), float(means.high[index]),
                wins, p, p_holm, decimals, float(np.median(gap)) if n else math.nan, signed_rank_p(gap),
                len(np.unique(codes[~np.isnan(gaps[:, index])])),
            )
        )  # fmt: skip
    return result


def _summed(gaps: NDArray[np.float64], codes: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and counts of the differences of each unit, [units, pairs]."""
    units, inverse = np.unique(codes, return_inverse=True)
    present = ~np.isnan(gaps)
    sums, counts = np.zeros((len(units), gaps.shape[1])), np.zeros((len(units), gaps.shape[1]))
    np.add.at(sums, inverse, np.where(present, gaps, 0.0))
    np.add.at(counts, inverse, present.astype(float))
    return sums, counts


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


def resamples_for(pairs: int) -> int:
    """Number of resamples with which one of many pairs can reach half the level after Holm's correction."""
    return max(RESAMPLES, round(4 * pairs / LEVEL))


def lowest_p(pairs: Sequence[Difference]) -> float:
    """The lowest p, corrected by Holm, that the pairs of one category can reach; 1 without any test.

    Differences that are the same for all n files, or n groups of files, have no standard error; their p is 2 / 2^n.
    """
    tested = [pair for pair in pairs if not math.isnan(pair.p)]
    least = resolution(resamples_for(len(pairs)))
    reached = [float(least_p(one.clusters or one.n)) if one.is_constant else least for one in tested]
    return min(1.0, len(tested) * min(reached)) if tested else 1.0


def metrics_of(scores: pd.DataFrame) -> list[str]:
    """The metrics of a run that are known here, in the run's order."""
    known = {*registry.BY_CATEGORY, *registry.registered()}
    return [name for name in scores["metric"].unique() if name in known]
