"""Means of a listening test with 95 % confidence intervals (Student t over ratings), quartiles and counts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from earmark.eval.statistics.aggregate import ALL, half_widths


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per condition, for all ratings together and for each category.

    The interval is that of the EnCodec paper, which treats every rating as an independent observation. It is not
    clipped to the scale: a clipped interval would not be centred on the mean, and its width would hide the spread.

    Args:
        frame: ratings: listener, item, condition, score, and if known category.

    Returns:
        condition: best first, by the mean over all ratings.
        category: "all" first, then each category by name.
        n, listeners: number of ratings, and of listeners who gave them.
        mean, sd: mean and standard deviation of the scores, the latter with n - 1 in the denominator.
        ci95_low, ci95_high: mean -+ t(0.975, n - 1) sd / sqrt(n); NaN for fewer than three ratings; sd is NaN for one.
        median, q1, q3: median and quartiles of the scores, by linear interpolation.
    """
    parts = [frame.assign(category=ALL)]
    if "category" in frame:
        parts.append(frame[frame["category"] != ALL])
    summary = pd.concat([_cells(part) for part in parts])
    half_width = half_widths(summary["n"], summary["sd"])
    summary["ci95_low"] = summary["mean"] - half_width
    summary["ci95_high"] = summary["mean"] + half_width
    overall = summary[summary["category"] == ALL].sort_values(["mean", "condition"], ascending=[False, True])
    summary["rank"] = summary["condition"].map({name: rank for rank, name in enumerate(overall["condition"])})
    summary["is_part"] = summary["category"] != ALL
    summary = summary.sort_values(["is_part", "category", "rank"], ignore_index=True)
    columns = ["condition", "category", "n", "listeners", "mean", "sd", "ci95_low", "ci95_high", "median", "q1", "q3"]
    return summary[columns]


def _cells(ratings: pd.DataFrame) -> pd.DataFrame:
    """Counts, means and quartiles per category and condition."""
    cells: dict[str, Any] = {
        "n": ("score", "count"),
        "listeners": ("listener", "nunique"),
        "mean": ("score", "mean"),
        "sd": ("score", "std"),
        "median": ("score", "median"),
    }
    groups = ratings.groupby(["category", "condition"])
    quartiles = {"q1": groups["score"].quantile(0.25), "q3": groups["score"].quantile(0.75)}
    return groups.agg(**cells).assign(**quartiles).reset_index()
