"""Confidence intervals over listeners and items at once: for other listeners and other items of the same kind.

Ratings share their listener and their item, and both are samples: y = mean + listener + item + error, all three random
(Baayen, Davidson and Bates 2008, Journal of Memory and Language 59). The mean is over all trials, each with the same
weight. Its variance is the listeners' part plus the items' part minus the error, which both contain: the
inclusion-exclusion of two-way clustering (Cameron, Gelbach and Miller 2011, Journal of Business and Economic Statistics
29). The variances of the three terms come from the sums of squares between listeners, between items and in total
(Henderson 1953, Biometrics 9, method 1), which for complete designs is the analysis of variance. Student's t has
Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from earmark.eval.statistics.aggregate import ALL

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Sums:
    """Sufficient statistics of one or several sets of values, one value for each trial of a listener and an item.

    Args:
        listener_counts, item_counts: [..., listeners], [..., items] number of trials.
        listener_sums, item_sums: sums of their values; same shapes.
        squares: [...] sum of the squared values. All sums are about `origin`.
        origin: [...] value subtracted beforehand, so that the squares keep their digits.
    """

    listener_counts: Array
    item_counts: Array
    listener_sums: Array
    item_sums: Array
    squares: Array
    origin: Array


@dataclass(frozen=True)
class Crossed:
    """Mean and its distribution over listeners and items; arrays of the leading shape of the sums.

    Args:
        mean: over all trials.
        error: standard error; NaN for fewer than two listeners or items.
        degrees: degrees of freedom of Student's t; NaN if the error is 0 or NaN.
        listener, item, residual: variances of the three terms, none below zero; the residual holds the interaction of
            listener and item, which one rating per trial cannot tell from the error.
    """

    mean: Array
    error: Array
    degrees: Array
    listener: Array
    item: Array
    residual: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Bounds of the confidence interval of the mean; both are the mean if the values do not vary."""
        with np.errstate(invalid="ignore"):
            reach = np.where(self.error == 0, 0.0, stdtrit(self.degrees, (1 + level) / 2) * self.error)
        return self.mean - reach, self.mean + reach

    def p(self) -> Array:
        """Two-sided p values of the hypothesis that the mean is zero; NaN if the values do not vary."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.error > 0, 2 * stdtr(self.degrees, -np.abs(self.mean) / self.error), np.nan)


def sums_of(values: Array, listener: Codes, item: Codes) -> Sums:
    """Sums of one set of values.

    Args:
        values: [trials].
        listener, item: [trials] numbers from 0.
    """
    origin = np.asarray(values.mean() if len(values) else 0.0)
    centred = values - origin
    totals = [np.bincount(codes, weights) for codes in (listener, item) for weights in (None, centred)]
    counts_l, sums_l, counts_i, sums_i = (np.asarray(total, dtype=float) for total in totals)
    return Sums(counts_l, counts_i, sums_l, sums_i, np.asarray(centred @ centred), origin)


def dense_sums(values: Array) -> Sums:
    """Sums of many sets of values at once.

    Args:
        values: [..., listeners, items], NaN where a listener did not rate an item.
    """
    present = ~np.isnan(values)
    trials = present.sum(axis=(-2, -1))
    origin = np.nansum(values, axis=(-2, -1)) / np.maximum(trials, 1)
    centred = np.where(present, values - origin[..., np.newaxis, np.newaxis], 0.0)
    listener_counts, item_counts = (present.sum(axis=axis).astype(float) for axis in (-1, -2))
    return Sums(
        listener_counts,
        item_counts,
        centred.sum(axis=-1),
        centred.sum(axis=-2),
        (centred**2).sum(axis=(-2, -1)),
        origin,
    )


def estimate(sums: Sums) -> Crossed:
    """Estimate the mean, its standard error and its degrees of freedom from the sums."""
    n_l, n_i = sums.listener_counts, sums.item_counts
    trials = np.maximum(n_l.sum(axis=-1), 1)
    listeners, items = (n_l > 0).sum(axis=-1), (n_i > 0).sum(axis=-1)
    # Trials per listener and per item, averaged over trials: 1 / effective number of them, times `trials`.
    per_listener, per_item = (n_l**2).sum(axis=-1) / trials, (n_i**2).sum(axis=-1) / trials
    u, v, e = _components(sums, trials, listeners, items, per_listener, per_item)
    parts = [(np.maximum(u, 0) * per_listener + e) / trials, (np.maximum(v, 0) * per_item + e) / trials, e / trials]
    with np.errstate(divide="ignore"):
        degrees = [trials / per_listener - 1, trials / per_item - 1, np.maximum(trials - listeners - items + 1, 1)]
    # A variance estimated as zero or less takes its part out: then the other part holds all of the error.
    terms = [u > 0, v > 0, (u > 0) == (v > 0)]
    variance = parts[0] + parts[1] - parts[2]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = sum(np.where(term, part**2 / df, 0.0) for term, part, df in zip(terms, parts, degrees, strict=True))
        varying = variance > 1e-12 * np.maximum(sums.squares / trials, 1e-300)
        satterthwaite = np.where(varying, variance**2 / spread, np.nan)
    known = (listeners >= 2) & (items >= 2)
    error = np.where(known, np.sqrt(np.where(varying, variance, 0.0)), np.nan)
    mean = np.where(n_l.sum(axis=-1) > 0, sums.origin + sums.listener_sums.sum(axis=-1) / trials, np.nan)
    return Crossed(mean, error, np.where(known, satterthwaite, np.nan), np.maximum(u, 0), np.maximum(v, 0), e)


def _components(
    sums: Sums, trials: Array, listeners: Array, items: Array, per_listener: Array, per_item: Array
) -> tuple[Array, Array, Array]:
    """Henderson's method 1: equate three sums of squares to their expectations. Only the residual is made positive."""
    correction = sums.listener_sums.sum(axis=-1) ** 2 / trials
    between_l = (sums.listener_sums**2 / np.maximum(sums.listener_counts, 1)).sum(axis=-1) - correction
    between_i = (sums.item_sums**2 / np.maximum(sums.item_counts, 1)).sum(axis=-1) - correction
    total = sums.squares - correction
    # Rows: sums of squares; columns: listener, item, residual.
    expectations = np.stack(
        [
            np.stack(np.broadcast_arrays(trials - per_listener, listeners - per_item, listeners - 1.0), axis=-1),
            np.stack(np.broadcast_arrays(items - per_listener, trials - per_item, items - 1.0), axis=-1),
            np.stack(np.broadcast_arrays(trials - per_listener, trials - per_item, trials - 1.0), axis=-1),
        ],
        axis=-2,
    )
    known = (np.abs(np.linalg.det(expectations)) > 1e-9)[..., np.newaxis, np.newaxis]
    solvable = np.where(known, expectations, np.eye(3))
    squares = np.stack(np.broadcast_arrays(between_l, between_i, total), axis=-1)[..., np.newaxis]
    solved = np.where(known[..., 0], np.linalg.solve(solvable, squares)[..., 0], 0.0)
    return solved[..., 0], solved[..., 1], np.maximum(solved[..., 2], 0.0)


def crossed_means(frame: pd.DataFrame) -> pd.DataFrame:
    """95 % confidence intervals of mean scores over listeners and items, cut at the ends of the scale.

    Args:
        frame: ratings: listener, item, condition, score, and if known category.

    Returns:
        One row per condition and category, including "all": condition, category, crossed95_low, crossed95_high; NaN
        for fewer than two listeners or items.
    """
    rows: list[dict[str, Any]] = []
    listener, item = (pd.factorize(frame[name])[0] for name in ("listener", "item"))
    coded = frame.assign(_listener=listener, _item=item)
    parts = [coded.assign(category=ALL)]
    if "category" in frame:
        parts.append(coded[coded["category"] != ALL])
    for part in parts:
        for (condition, category), cell in part.groupby(["condition", "category"]):
            sums = sums_of(cell["score"].to_numpy(float), cell["_listener"].to_numpy(), cell["_item"].to_numpy())
            low, high = np.clip(estimate(sums).interval(), 0, 100)
            bounds = {"crossed95_low": float(low), "crossed95_high": float(high)}
            rows.append({"condition": condition, "category": category, **bounds})
    columns: dict[str, Any] = {"condition": "str", "category": "str", "crossed95_low": float, "crossed95_high": float}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
