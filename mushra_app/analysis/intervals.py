"""Confidence intervals by a bootstrap of listeners, which allows for the dependence of one listener's ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from earmark.eval.statistics.aggregate import ALL

REPLICATES = 2000
BLOCK_WEIGHTS = 8_000_000  # listeners times replicates held at once: 64 MB


def cluster_bootstrap(frame: pd.DataFrame, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """95 % confidence intervals of mean scores, over the population of listeners.

    Each replicate draws L of the L listeners with replacement, each with all their ratings. The interval is the
    expanded percentile interval of Hesterberg (2015, "What teachers should know about the bootstrap", The American
    Statistician 69): percentiles at the levels Phi(-+ sqrt(L / (L - 1)) t(0.975, L - 1)), since plain percentiles are
    too narrow for small L.

    Args:
        frame: ratings: listener, condition, score, and if known category.
        replicates: number of bootstrap samples.
        seed: seed of the random draws.

    Returns:
        One row per condition and category, including "all": condition, category, boot95_low, boot95_high; NaN if fewer
        than two listeners rated it.
    """
    keys = ["category", "condition"]
    if frame.empty:
        return pd.DataFrame(columns=["condition", "category", "boot95_low", "boot95_high"]).astype(
            {"condition": "str", "category": "str", "boot95_low": float, "boot95_high": float}
        )
    parts = [frame.assign(category=ALL)]
    if "category" in frame:
        parts.append(frame[frame["category"] != ALL])
    sums = pd.concat([part.groupby(["listener", *keys])["score"].agg(["sum", "count"]) for part in parts])
    wide = sums.unstack(keys, fill_value=0).sort_index(axis="columns")
    totals, counts = (wide[name].to_numpy(float) for name in ("sum", "count"))
    low, high = expanded_percentiles(totals, counts, replicates, seed)
    cells = wide["sum"].columns.to_frame(index=False)
    return cells.assign(boot95_low=low, boot95_high=high)[["condition", "category", "boot95_low", "boot95_high"]]


def expanded_percentiles(
    totals: NDArray[np.float64], counts: NDArray[np.float64], replicates: int = REPLICATES, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the expanded percentile interval of each mean, a ratio of the listeners' totals and counts.

    Args:
        totals, counts: [listeners, means] sum and number of each listener's values.
        replicates: number of bootstrap samples, the same for all means.
        seed: seed of the random draws.

    Returns:
        [means] each; NaN for fewer than two listeners.
    """
    means = _replicated_means(totals, counts, replicates, np.random.default_rng(seed))
    listeners = (counts > 0).sum(axis=0)
    low, high = np.full(len(listeners), np.nan), np.full(len(listeners), np.nan)
    for count in np.unique(listeners[listeners > 1]):
        columns = listeners == count
        level = float(_expanded_levels(count))
        known = means[:, columns]
        quantile = np.nanquantile if np.isnan(known).any() else np.quantile
        low[columns], high[columns] = quantile(known, [level, 1 - level], axis=0)
    return low, high


def listeners_to_halve(listeners: int) -> int | None:
    """Number of additional listeners that would halve the interval over listeners, t(0.975, L - 1) s / sqrt(L).

    Assumes that new listeners differ from each other and rate as much as the present ones. None for fewer than two.
    """
    if listeners < 2:
        return None
    panels = np.arange(listeners, 4 * listeners + 1)
    widths = student.ppf(0.975, panels - 1) / np.sqrt(panels)
    return int(np.argmax(widths <= widths[0] / 2))


def _replicated_means(
    totals: NDArray[np.float64], counts: NDArray[np.float64], replicates: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of bootstrap samples [replicates, cells], from the listeners' totals and counts [listeners, cells]."""
    listeners = len(totals)
    block = max(1, min(replicates, BLOCK_WEIGHTS // max(listeners, 1)))
    means = []
    for start in range(0, replicates, block):
        rows = min(block, replicates - start)
        drawn = rng.integers(0, listeners, (rows, listeners)) + listeners * np.arange(rows)[:, np.newaxis]
        weights = np.bincount(drawn.ravel(), minlength=rows * listeners).reshape(rows, listeners).astype(float)
        n = weights @ counts
        means.append(np.divide(weights @ totals, n, out=np.full_like(n, np.nan), where=n > 0))
    return np.concatenate(means)


def _expanded_levels(listeners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lower percentile level of Hesterberg's expanded interval, by number of listeners."""
    expansion = np.sqrt(listeners / (listeners - 1)) * student.ppf(0.975, listeners - 1)
    return np.asarray(norm.cdf(-expansion))
