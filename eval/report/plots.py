"""Plots of score against bit rate: one SVG per metric and category, for pages with a light or a dark background."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from earmark.eval.report.chart import MARKERS, PALETTE, Axis, Level, Series, draw, linear
from earmark.eval.statistics.aggregate import FEWEST_FOR_INTERVAL
from earmark.eval.statistics.rates import axis_kbps, is_yardstick
from earmark.eval.statistics.scales import bounds
from earmark.eval.tables.columns import Column
from earmark.eval.tables.published import MARK, is_published

_TICKS = 1.5 * 2.0 ** np.arange(-3, 12)  # kbps; bit rates of neural codecs and octaves of them
_DASHES = ("6 3", "2 2", "6 2 1 2", "1 3")


@dataclass(frozen=True)
class Style:
    """Colour and marker of one codec in every plot."""

    color: str
    marker: str


def series_name(system: str) -> str:
    """The system string without its bit rate, which names the curve through a codec's bit rates.

    "opus@12" -> "opus", "encodec_24khz@3:lm" -> "encodec_24khz:lm".
    """
    family, _, rest = system.partition("@")
    _, colon, options = rest.partition(":")
    return family + colon + options


def styles(systems: Iterable[str]) -> dict[str, Style]:
    """Assign a style to each series, in the order of the run; 42 differ before one repeats."""
    names = dict.fromkeys(series_name(system) for system in systems)
    return dict(zip(names, map(Style, itertools.cycle(PALETTE), itertools.cycle(MARKERS)), strict=False))


@dataclass(frozen=True)
class Limits:
    """Ranges of the axes that all panels of one metric share: bit rate in kbps, score in the metric's unit."""

    kbps: tuple[float, float]
    score: tuple[float, float]


def limits(summary: pd.DataFrame, metric: str) -> Limits | None:
    """Ranges that hold all means and intervals of a metric in all categories; None if no codec has a score.

    With few files an interval can be several times as wide as the spread of the means (t = 4.3 for three files). Such
    an interval leaves the panel instead of flattening all curves. The axis ends where the metric does.
    """
    rows = _drawn(summary[(summary["metric"] == metric) & summary["mean"].notna()])
    rates = rows["rate"].dropna()
    if rates.empty:
        return None
    low, high = rows["mean"].min(), rows["mean"].max()
    spread = max(high - low, 0.05 * max(abs(low), abs(high)), 1e-6)
    bottom = np.nanmin([low, max(rows["ci95_low"].min(), low - 0.25 * spread)])
    top = np.nanmax([high, min(rows["ci95_high"].max(), high + 0.25 * spread)])
    pad = 0.06 * (top - bottom) + 0.02 * spread
    lowest, highest = bounds(metric)
    edge = 0.02 * (top - bottom)  # room for half a marker on the bound
    axis = max(bottom - pad, min(lowest, low) - edge), min(top + pad, max(highest, high) + edge)
    return Limits((rates.min() / 1.5, rates.max() * 1.5), axis)


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """The systems that a plot shows, with a column `rate`, in kbps and NaN for the reference and anchors.

    Systems whose bit rate is unknown are in the tables only. Means of fewer than three files have no interval.
    """
    few = rows["n"].notna() & (rows["n"] < FEWEST_FOR_INTERVAL)
    rows = rows.assign(rate=axis_kbps(rows), ci95_low=rows["ci95_low"].mask(few), ci95_high=rows["ci95_high"].mask(few))
    return rows[rows["rate"].notna() | rows["system"].map(is_yardstick).astype(bool)]


def rate_plot(summary: pd.DataFrame, metric: Column, category: str, looks: Mapping[str, Style], shared: Limits) -> str:
    """Plot mean scores with their 95 % confidence intervals against measured bit rates, stated if not measured.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        looks: style of each series, from `styles`.
        shared: from `limits`.

    Returns:
        An `<svg>` element for a page; its colours are CSS variables that default to those for a light background.
    """
    chosen = (summary["metric"] == metric.name) & (summary["category"] == category) & summary["mean"].notna()
    rows = _drawn(summary[chosen])
    published, rows = rows[is_published(rows)], rows[~is_published(rows)]
    coded, yardsticks = rows[rows["rate"].notna()], rows[rows["rate"].isna()]
    series = [
        _series(str(name), points.sort_values("rate"), "rate", looks[str(name)])
        for name, points in coded.groupby(coded["system"].map(series_name), sort=False)
    ]
    published = published[published["kbps_nominal"].notna()]
    names = published["system"].str.removesuffix(f" {MARK}").map(series_name)
    series += [
        _series(f"{name} {MARK}", points.sort_values("kbps_nominal"), "kbps_nominal", looks[str(name)], hollow=True)
        for name, points in published.groupby(names, sort=False)
    ]
    ordered = yardsticks.sort_values("mean")[["system", "mean"]].itertuples(index=False)
    levels = [Level(system, mean, dashes) for (system, mean), dashes in zip(ordered, itertools.cycle(_DASHES))]
    measured = bool(rows.loc[rows["rate"].notna(), "kbps"].notna().all())
    return draw(_rate_axis(shared, measured), linear(*shared.score, metric.heading), series, levels)


def _series(name: str, points: pd.DataFrame, rate: str, style: Style, *, hollow: bool = False) -> Series:
    """The curve of a codec with its intervals; published figures are hollow, and joined by dots."""
    return Series(
        name,
        list(zip(points[rate], points["mean"], strict=True)),
        style.color,
        style.marker,
        bars=list(zip(points["ci95_low"], points["ci95_high"], strict=True)),
        line=(1.1, "1 2") if hollow else (1.8, ""),
        hollow=hollow,
    )


def _rate_axis(shared: Limits, measured: bool) -> Axis:
    ticks = _TICKS[(shared.kbps[0] <= _TICKS) & (shared.kbps[1] >= _TICKS)]
    label = "measured bit rate (kbps)" if measured else "bit rate (kbps), measured or stated"
    return Axis(*shared.kbps, ticks[:: len(ticks) // 8 + 1].tolist(), label, logarithmic=True)
