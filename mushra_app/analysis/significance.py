"""Tests between conditions: Friedman's test, then Wilcoxon's signed-rank test on every pair with Holm's correction.

One listener is one observation: the mean score of a condition over the trials in which the listener rated every
condition. Trials of one listener are not independent, and a test that treats them so finds differences too easily.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import friedmanchisquare, rankdata, wilcoxon

from earmark.eval.statistics.aggregate import half_widths


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of the hypothesis that all conditions are equal.

    Args:
        statistic: chi-squared, corrected for ties, with `conditions` - 1 degrees of freedom.
        p: p value.
        kendall_w: Kendall's coefficient of concordance of the listeners' rankings,
            statistic / (listeners (conditions - 1)), 0 to 1.
        listeners, conditions: size of the table tested.
    """

    statistic: float
    p: float
    kendall_w: float
    listeners: int
    conditions: int


def listener_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each listener (rows) in each condition (columns), over the listener's complete trials.

    Args:
        frame: ratings: listener, item, condition, score.
    """
    conditions = frame["condition"].nunique()
    rated = frame.groupby(["listener", "item"])["score"].transform("count")
    complete = frame[rated == conditions]
    return complete.groupby(["listener", "condition"])["score"].mean().unstack("condition")


def friedman(means: pd.DataFrame) -> Friedman | None:
    """Friedman's test by scipy.

    Args:
        means: from `listener_means`.

    Returns:
        The result; None for fewer than three conditions or two listeners, or if no listener's scores differ.
    """
    listeners, conditions = means.shape
    if conditions < 3 or listeners < 2 or (means.nunique(axis="columns") == 1).all():
        return None
    statistic, p = friedmanchisquare(*means.to_numpy().T)
    return Friedman(
        float(statistic), float(p), float(statistic / (listeners * (conditions - 1))), listeners, conditions
    )


def pairwise(means: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of conditions by Wilcoxon's signed-rank test on the listeners' means.

    Args:
        means: from `listener_means`.

    Returns:
        better, worse: the two conditions, ordered by mean.
        listeners: number of pairs of means compared.
        difference, ci95_low, ci95_high: mean of better - worse over listeners, with its Student-t interval.
        p: two-sided p value, exact if scipy can; 1 if all differences are zero; NaN for a single listener.
        p_holm: p value after Holm's correction for the number of pairs (Holm 1979).
        rank_biserial: matched-pairs rank-biserial correlation (Kerby 2014): the share of the ranks in favour of
            `better` minus the share against it, -1 to 1.
    """
    best_first = means.mean().sort_values(ascending=False, kind="stable").index
    rows = []
    for better, worse in itertools.combinations(best_first, 2):
        # Means that are equal but for rounding errors must count as ties.
        differences = np.round((means[better] - means[worse]).to_numpy(), 9)
        rows.append(
            {
                "better": better, "worse": worse, "listeners": len(differences),
                "difference": differences.mean(), "sd": differences.std(ddof=1) if len(differences) > 1 else np.nan,
                "p": _wilcoxon_p(differences), "rank_biserial": rank_biserial(differences),
            }
        )  # fmt: skip
    columns = ["better", "worse", "listeners", "difference", "sd", "p", "rank_biserial"]
    numbers = {"listeners": int, **dict.fromkeys(columns[3:], float)}
    pairs = pd.DataFrame(rows, columns=columns).astype(numbers)  # sets the types even if there are no rows
    half_width = half_widths(pairs["listeners"], pairs["sd"])
    return pairs.assign(
        ci95_low=pairs["difference"] - half_width,
        ci95_high=pairs["difference"] + half_width,
        p_holm=holm(pairs["p"].to_numpy(float)),
    )[["better", "worse", "listeners", "difference", "ci95_low", "ci95_high", "p", "p_holm", "rank_biserial"]]


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values by the method of Holm (1979).

    The i-th smallest of m is multiplied by m - i + 1, raised to the largest adjusted value before it if that is
    larger, and limited to 1. NaN stays NaN and does not count towards m.
    """
    p = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    ascending = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full_like(p, np.nan)
    adjusted[ascending] = np.minimum(1, np.maximum.accumulate(p[ascending] * np.arange(len(known), 0, -1)))
    return adjusted


def rank_biserial(differences: NDArray[np.float64]) -> float:
    """Matched-pairs rank-biserial correlation of differences ranked by magnitude, without zeros; NaN if all are 0.

    (sum of ranks of positive differences - sum of ranks of negative differences) / sum of all ranks.
    """
    differences = differences[differences != 0]
    if differences.size == 0:
        return float("nan")
    ranks = rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())


def _wilcoxon_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p value of Wilcoxon's test; see `pairwise` for its special cases."""
    if len(differences) < 2:
        return float("nan")
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences).pvalue)
