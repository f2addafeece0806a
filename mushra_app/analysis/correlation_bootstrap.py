"""Bootstrap of a correlation over conditions and items, two-way.

Points share their condition and their item, so they are not independent, and Fisher's interval is too narrow. Each
resample draws conditions and items with replacement (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics
1); a point counts as often as its condition times as often as its item was drawn.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

RESAMPLES = 1000
SEED = 0
LEAST_CONDITIONS = 4
LEAST_DRAWN = 3  # different conditions without which a resample has no correlation


def intervals(
    value: Array, score: Array, condition: Codes, item: Codes, *, over_conditions: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """95 % percentile intervals of Pearson's and of Spearman's correlation.

    Args:
        value, score: [points] metric and mean rating of an item in a condition.
        condition, item: [points] numbers from 0.
        over_conditions: whether to correlate the means of the conditions over the items instead of the points.

    Returns:
        The bounds of both; NaN for fewer than four conditions or two items, or if over 10 % of the resamples have none.
    """
    conditions, items = condition.max() + 1, item.max() + 1
    undefined = (math.nan, math.nan)
    if conditions < LEAST_CONDITIONS or items < 2:
        return undefined, undefined
    rng = np.random.default_rng(SEED)
    of_condition, of_item = (
        rng.multinomial(size, np.full(size, 1 / size), RESAMPLES).astype(float) for size in (conditions, items)
    )
    if over_conditions:
        member = (condition[:, np.newaxis] == np.arange(conditions)).astype(float)
        weight = of_item[:, item]
        total = weight @ member
        with np.errstate(invalid="ignore", divide="ignore"):
            x, y = ((weight * side) @ member / total for side in (value, score))
        weights = np.where(total > 0, of_condition, 0.0)
        x, y = np.nan_to_num(x), np.nan_to_num(y)
    else:
        weights = of_condition[:, condition] * of_item[:, item]
        x, y = (np.broadcast_to(side, weights.shape) for side in (value, score))
    enough = (of_condition > 0).sum(axis=1) >= LEAST_DRAWN
    pearson = np.where(enough, weighted_pearson(x, y, weights), math.nan)
    spearman = np.where(enough, weighted_pearson(_ranks(x, weights), _ranks(y, weights), weights), math.nan)
    return _bounds(pearson), _bounds(spearman)


def weighted_pearson(x: Array, y: Array, weights: Array) -> Array:
    """Pearson's correlation of each row, [rows, points]; NaN if either side is constant."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        dx, dy = (side - (weights * side).sum(axis=1, keepdims=True) / total for side in (x, y))
        xy, xx, yy = ((weights * product).sum(axis=1) for product in (dx * dy, dx**2, dy**2))
        usable = (xx > 1e-12 * (weights * x**2).sum(axis=1)) & (yy > 1e-12 * (weights * y**2).sum(axis=1))
        return np.where(usable, xy / np.sqrt(xx * yy), math.nan)


def _ranks(values: Array, weights: Array) -> Array:
    """Ranks of each row's values, each counted by its weight; ties have their mean rank."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered, counted = (np.take_along_axis(table, order, axis=1) for table in (values, weights))
    after = np.cumsum(counted, axis=1)
    before = after - counted
    new = np.diff(ordered, axis=1, prepend=-np.inf) > 0
    starts = np.maximum.accumulate(np.where(new, np.arange(values.shape[1]), 0), axis=1)
    last = np.roll(new, -1, axis=1)
    last[:, -1] = True
    ends = np.minimum.accumulate(np.where(last, np.arange(values.shape[1]), values.shape[1])[:, ::-1], axis=1)[:, ::-1]
    middle = (np.take_along_axis(before, starts, axis=1) + np.take_along_axis(after, ends, axis=1)) / 2
    ranks = np.empty_like(middle)
    np.put_along_axis(ranks, order, middle, axis=1)
    return ranks


def _bounds(values: Array) -> tuple[float, float]:
    if np.isnan(values).mean() > 0.1:
        return math.nan, math.nan
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
