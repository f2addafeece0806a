"""Agreement of listeners: Krippendorff's alpha, and each listener's correlation with the mean of the others."""

from __future__ import annotations

import pandas as pd

CELL = ["item", "condition"]


def krippendorff_alpha(frame: pd.DataFrame) -> float:
    """Krippendorff's alpha with the interval metric: 1 for perfect agreement, 0 for chance agreement.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011). A unit is an item in a condition; units with a
    single rating carry no information and are ignored.

    Args:
        frame: ratings: listener, item, condition, score.

    Returns:
        1 - observed / expected disagreement; NaN if no unit has two ratings, or all scores are the same.
    """
    unit = frame.groupby(CELL)["score"]
    pairable = frame["score"][unit.transform("count") > 1]
    if pairable.empty:
        return float("nan")
    by_unit = pairable.groupby([frame.loc[pairable.index, name] for name in CELL])
    n, m = len(pairable), by_unit.transform("count")
    # The squared differences of all ordered pairs of m values sum to 2 m times their squared deviations from the mean.
    observed = (2 * m / (m - 1) * (pairable - by_unit.transform("mean")) ** 2).sum() / n
    expected = 2 * ((pairable - pairable.mean()) ** 2).sum() / (n - 1)
    return float(1 - observed / expected) if expected > 0 else float("nan")


def agreement(frame: pd.DataFrame) -> pd.Series[float]:
    """Pearson correlation of each listener's scores with the other listeners' mean for the same item and condition.

    Args:
        frame: ratings: listener, item, condition, score.

    Returns:
        Correlation by listener; NaN for fewer than three shared cells, or if either side is constant.
    """
    cell = frame.groupby(CELL)["score"]
    others = cell.transform("count") - 1
    shared = pd.DataFrame(
        {
            "listener": frame["listener"],
            "own": frame["score"],
            "rest": (cell.transform("sum") - frame["score"]) / others.where(others > 0),
        }
    ).dropna()
    by_listener = shared.groupby("listener")
    for name in ("own", "rest"):
        shared[name] -= by_listener[name].transform("mean")
    products = pd.DataFrame(
        {
            "xy": shared["own"] * shared["rest"],
            "xx": shared["own"] ** 2,
            "yy": shared["rest"] ** 2,
            "listener": shared["listener"],
        }
    )
    sums = products.groupby("listener").sum()
    # A constant column leaves rounding errors instead of zero.
    usable = (by_listener.size() >= 3) & (sums["xx"] > 1e-9) & (sums["yy"] > 1e-9)
    correlation = (sums["xy"] / (sums["xx"] * sums["yy"]).where(usable) ** 0.5).clip(-1, 1)
    return correlation.reindex(pd.Index(frame["listener"].unique(), name="listener")).rename("agreement")
