"""Rank tests of conditions, in which one listener is one observation, and Holm's correction for several tests.

Trials of one listener are not independent, and a test that treats them so finds differences too easily.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import friedmanchisquare, rankdata


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


def listener_means(frame: pd.DataFrame, conditions: Collection[str] | None = None) -> pd.DataFrame:
    """Mean score of each listener (rows) in each condition (columns), over the trials with all of these conditions.

    Args:
        frame: ratings: listener, item, condition, score.
        conditions: conditions to compare; default: all.
    """
    if conditions is not None:
        frame = frame[frame["condition"].isin(list(conditions))]
    rated = frame.groupby(["listener", "item"])["score"].transform("count")
    complete = frame[rated == frame["condition"].nunique()]
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
