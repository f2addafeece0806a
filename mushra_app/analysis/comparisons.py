"""Differences between conditions, each with two intervals and two tests: for these items, and for other items too.

The difference of a pair is the mean over the trials in which a listener rated both conditions, each trial with the same
weight, so that a condition which some trials lack does not take these trials from other pairs.

- For these items: listeners are the sample. The interval is the bootstrap of listeners, the test flips the sign of all
  differences of a listener (`earmark.eval.statistics.sign_flip`).
- For other items too: listeners and items are the sample (`earmark.mushra_app.analysis.crossed`).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from earmark.eval.statistics.aggregate import half_widths
from earmark.eval.statistics.sign_flip import least_p, sign_flip, units_needed
from earmark.eval.statistics.signed_rank import signed_rank_p
from earmark.mushra_app.analysis.crossed import estimate, sums_of
from earmark.mushra_app.analysis.intervals import expanded_percentiles
from earmark.mushra_app.analysis.significance import holm, rank_biserial
from earmark.mushra_app.study.study import Role

SIGNIFICANT = 0.05
SCALE_RANGE = 100.0  # points; no difference is larger
TRIAL = ["listener", "item"]
DECIMALS = 9  # differences that are equal but for rounding errors must count as ties

COLUMNS: dict[str, Any] = {
    "better": "str", "worse": "str", "in_family": bool, "listeners": int, "items": int, "trials": int,
    "difference": float, "boot95_low": float, "boot95_high": float, "p": float, "p_holm": float,
    "crossed95_low": float, "crossed95_high": float, "p_crossed": float, "p_crossed_holm": float,
    "listener_difference": float, "ci95_low": float, "ci95_high": float, "p_wilcoxon": float,
    "p_wilcoxon_holm": float, "rank_biserial": float,
}  # fmt: skip


def family_of(roles: Mapping[str, Role], everything: bool = False) -> list[str]:
    """Conditions whose pairs are tested together: the systems, or all conditions.

    The hidden reference and the anchors differ from the systems by design. Pairs with them would make Holm's correction
    stricter for the pairs in question.
    """
    return [name for name, role in roles.items() if everything or role == "system"]


def compare(frame: pd.DataFrame, family: Collection[str]) -> pd.DataFrame:
    """Compare every pair of conditions that some listener rated in one trial.

    Args:
        frame: ratings: listener, item, condition, score.
        family: conditions whose pairs Holm's correction takes together.

    Returns:
        better, worse: the pair, by the sign of its difference; pairs are in the order of the conditions' means.
        in_family: whether both conditions belong to the family; other pairs have no corrected p values.
        listeners, items, trials: what the pair was compared on.
        difference: mean of better - worse over these trials.
        boot95_low, boot95_high, p: for these items: bootstrap interval and sign-flip test over listeners; the interval
            is NaN and p is NaN for a single listener.
        crossed95_low, crossed95_high, p_crossed: for other items too; the interval ends at -100 and 100, and is NaN
            for a single listener or item.
        p_holm, p_crossed_holm: after Holm's correction (1979) for the pairs of the family.
        listener_difference, ci95_low, ci95_high: mean over listeners of their mean differences, one weight for each
            listener, with Student's t interval.
        p_wilcoxon, p_wilcoxon_holm: Wilcoxon's signed-rank test on the listeners' mean differences.
        rank_biserial: matched-pairs rank-biserial correlation (Kerby 2014): the share of the ranks of the listeners'
            mean differences in favour of `better` minus the share against it, -1 to 1.
    """
    best_first = frame.groupby("condition")["score"].mean().sort_values(ascending=False, kind="stable").index
    wide = frame.set_index([*TRIAL, "condition"])["score"].unstack("condition")
    listener, item = (pd.factorize(wide.index.get_level_values(name), sort=True)[0] for name in TRIAL)
    rows, sums, counts = [], [], []
    for first, second in itertools.combinations(best_first, 2):
        gaps = np.round((wide[first] - wide[second]).to_numpy(float), DECIMALS)
        rated = ~np.isnan(gaps)
        if not rated.any():
            continue
        better, worse = (first, second) if gaps[rated].sum() >= 0 else (second, first)
        gaps = gaps[rated] if better == first else -gaps[rated]
        count = np.bincount(listener[rated], minlength=listener.max() + 1)
        total = np.bincount(listener[rated], gaps, minlength=listener.max() + 1)
        rows.append(
            {"better": better, "worse": worse, "in_family": {first, second} <= set(family)}
            | _crossed(gaps, listener[rated], item[rated])
            | _by_listener(total[count > 0] / count[count > 0])
        )
        sums.append(total)
        counts.append(count)
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    pairs = pd.DataFrame(rows)
    totals, numbers = (np.column_stack(columns).astype(float) for columns in (sums, counts))
    pairs["p"] = sign_flip(np.where(numbers > 0, np.round(totals, DECIMALS), np.nan))
    pairs["boot95_low"], pairs["boot95_high"] = expanded_percentiles(totals, numbers)
    for name in ("p", "p_crossed", "p_wilcoxon"):
        pairs[f"{name}_holm"] = holm(pairs[name].where(pairs["in_family"]).to_numpy(float))
    return pairs[list(COLUMNS)].astype(COLUMNS)


def _crossed(gaps: NDArray[np.float64], listener: NDArray[np.intp], item: NDArray[np.intp]) -> dict[str, Any]:
    result = estimate(sums_of(gaps, listener, item))
    low, high = np.clip(result.interval(), -SCALE_RANGE, SCALE_RANGE)
    return {
        "trials": len(gaps), "listeners": len(np.unique(listener)), "items": len(np.unique(item)),
        "difference": float(result.mean), "crossed95_low": float(low), "crossed95_high": float(high),
        "p_crossed": float(result.p()),
    }  # fmt: skip


def _by_listener(means: NDArray[np.float64]) -> dict[str, float]:
    """Statistics of the listeners' mean differences, with one weight for each listener."""
    means = np.round(means, DECIMALS)
    deviation = float(means.std(ddof=1)) if len(means) > 1 else np.nan
    half_width = float(half_widths(pd.Series([len(means)]), pd.Series([deviation])).iloc[0])
    centre = float(means.mean())
    return {
        "listener_difference": centre, "ci95_low": centre - half_width, "ci95_high": centre + half_width,
        "p_wilcoxon": signed_rank_p(means), "rank_biserial": rank_biserial(means),
    }  # fmt: skip


def too_few_listeners(pairs: pd.DataFrame) -> str:
    """A sentence if no pair of the family can be significant for these items, whatever the ratings; otherwise "".

    Args:
        pairs: from `compare`.
    """
    family = pairs[pairs["in_family"]]
    tests = int(family["p"].notna().sum())
    if not tests:
        return ""
    listeners = int(family["listeners"].max())
    least = min(1.0, tests * least_p(listeners))
    if least < SIGNIFICANT:
        return ""
    correction = f" after Holm's correction for {tests} pairs" if tests > 1 else ""
    return (
        f"Too few listeners for significance for these items: with {listeners} listeners the smallest p{correction} is "
        f"{least:.3f}, whatever the ratings. At least {units_needed(tests)} listeners are needed. The t test for other "
        "items too has no such bound, because it takes the differences as normally distributed."
    )
