"""Macro-averages: means over categories, each category with the same weight, however many files it has."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from earmark.codec.errors import UserError
from earmark.eval.statistics.aggregate import ALL

MACRO = "macro"  # the category that averages the categories
OVER_CATEGORIES = (ALL, MACRO)


def with_macro(summary: pd.DataFrame) -> pd.DataFrame:
    """Add the category "macro" to the mean scores: the average over the categories of their means.

    Its standard error is that of a stratified sample, sqrt(sum s_k^2 / n_k) / K for K categories, and Student's t has
    the degrees of freedom of Welch (1947, Biometrika 34) and Satterthwaite (1946, Biometrics Bulletin 2).

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.

    Returns:
        The table with a row more per system and metric. Its mean is NaN and its n is 0 where a category has no score;
        its interval is NaN where one has fewer than three. The bit rate is the average over the categories too; there
        are no real-time factors.

    Raises:
        UserError: there is one category only.
    """
    require_categories(summary)
    count = summary.loc[summary["category"] != ALL, "category"].nunique()
    rows = [_average(group, count) for _, group in summary.groupby(["system", "metric"], sort=False)]
    added = pd.DataFrame(rows).reindex(columns=summary.columns)
    return pd.concat([summary, added.astype(summary.dtypes)], ignore_index=True)


def require_categories(rows: pd.DataFrame) -> None:
    """Refuse rows with a column `category` that hold one category.

    Raises:
        UserError: there is one only.
    """
    names = [str(name) for name in rows["category"].unique() if name != ALL]
    if len(names) < 2:
        raise UserError(f"--macro averages several categories; there is only {names[0]}, so leave out --macro")


def _average(rows: pd.DataFrame, categories: int) -> dict[str, Any]:
    """The row of one system and metric, from its rows in single categories; notes are those of all files."""
    group, over_all = rows[rows["category"] != ALL], rows[rows["category"] == ALL].iloc[0]
    n = group["n"].to_numpy(int)
    known = len(group) == categories and bool((n > 0).all())
    mean = float(group["mean"].mean()) if known else math.nan
    reach = _half_width(group) / categories if known else math.nan
    return {str(name): value for name, value in over_all.items()} | {
        "category": MACRO, "n": int(n.sum()) if known else 0, "mean": mean, "ci95_low": mean - reach,
        "ci95_high": mean + reach, "kbps": group["kbps"].mean(skipna=False), "encode_rtf": math.nan,
        "decode_rtf": math.nan,
    }  # fmt: skip


def _half_width(group: pd.DataFrame) -> float:
    """Half width of the interval of the sum of the categories' means; NaN if a category has no interval."""
    degrees = group["n"].to_numpy(float) - 1
    variances = ((group["ci95_high"] - group["ci95_low"]).to_numpy(float) / 2 / stdtrit(degrees, 0.975)) ** 2
    spread = float((variances**2 / degrees).sum())
    total = float(variances.sum())
    if spread == 0:
        return 0.0
    return float(stdtrit(total**2 / spread, 0.975)) * math.sqrt(total)
