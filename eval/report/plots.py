"""Plots of score against bit rate: one SVG per metric and category, for pages with a light or a dark background."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from earmark.eval.statistics.aggregate import FEWEST_FOR_INTERVAL
from earmark.eval.statistics.rates import axis_kbps, is_yardstick
from earmark.eval.statistics.scales import bounds
from earmark.eval.tables.columns import Column
from earmark.eval.tables.published import MARK, is_published

# Okabe and Ito's palette, distinguishable with all common types of colour blindness, without its black (text) and its
# yellow (invisible on white). The SVG names each as a CSS variable, so that a page can lighten it on a dark ground.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, MUTED, GRID = "#1c2024", "#6b7280", "#d5d9df"
_VARIABLES = {
    **{color: f"--series-{index}" for index, color in enumerate(PALETTE)},
    INK: "--ink", MUTED: "--muted", GRID: "--line",
}  # fmt: skip
RC: dict[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.family": "sans-serif", "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "grid.color": GRID,
}  # fmt: skip
_TICKS = 1.5 * 2.0 ** np.arange(-3, 12)  # kbps; bit rates of neural codecs and octaves of them
MOST_COLUMNS, ROW_INCHES = 4, 0.2  # of the legend
_DASHES = ((0, (6, 3)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 3)))


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
    # The salt makes ids unique among the plots of a page.
    with mpl.rc_context({**RC, "svg.hashsalt": f"{metric.name} {category}"}):
        figure = Figure(figsize=(4.4, 3.1), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        for name, series in coded.groupby(coded["system"].map(series_name), sort=False):
            points = series.sort_values("rate")
            style = looks[str(name)]
            axes.errorbar(
                points["rate"], points["mean"], yerr=(points["ci95_high"] - points["mean"]).fillna(0), label=str(name),
                color=style.color, marker=style.marker, markersize=5.5, linewidth=1.8, elinewidth=1.1, capsize=2.5,
            )  # fmt: skip
        _draw_published(axes, published, looks)
        _draw_yardsticks(axes, yardsticks, shared)
        _dress(axes, metric, shared, measured=bool(rows.loc[rows["rate"].notna(), "kbps"].notna().all()))
        if not (coded.empty and published.empty):
            draw_legend(figure, handlelength=1.6)
        return to_svg(figure)


def _draw_published(axes: Axes, rows: pd.DataFrame, looks: Mapping[str, Style]) -> None:
    """Draw published figures with a bit rate as hollow markers, joined by dots."""
    rows = rows[rows["kbps_nominal"].notna()]
    names = rows["system"].str.removesuffix(f" {MARK}").map(series_name)
    for name, series in rows.groupby(names, sort=False):
        points = series.sort_values("kbps_nominal")
        style = looks[str(name)]
        axes.errorbar(
            points["kbps_nominal"], points["mean"], yerr=(points["ci95_high"] - points["mean"]).fillna(0),
            label=f"{name} {MARK}", color=style.color, marker=style.marker, markersize=5.5, markerfacecolor="none",
            linewidth=1.1, linestyle=":", elinewidth=1.1, capsize=2.5,
        )  # fmt: skip


def _draw_yardsticks(axes: Axes, rows: pd.DataFrame, shared: Limits) -> None:
    """Draw reference and anchors, which have no bit rate, as dashed lines with their names in the right margin."""
    bottom, top = shared.score
    gap = 0.06 * (top - bottom)
    free = -np.inf
    ordered = rows.sort_values("mean")
    for (system, mean), dashes in zip(ordered[["system", "mean"]].itertuples(index=False), itertools.cycle(_DASHES)):
        axes.axhline(mean, color=MUTED, linewidth=1, linestyle=dashes, zorder=1)
        height = max(mean, free)
        free = height + gap
        axes.text(1.02, height, system, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=MUTED)


def _dress(axes: Axes, metric: Column, shared: Limits, *, measured: bool) -> None:
    axes.set_xscale("log")
    axes.set_xlim(shared.kbps)
    axes.set_ylim(shared.score)
    ticks = _TICKS[(shared.kbps[0] <= _TICKS) & (shared.kbps[1] >= _TICKS)]
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: len(ticks) // 8 + 1].tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda kbps, _: f"{kbps:g}"))
    axes.set_xlabel("measured bit rate (kbps)" if measured else "bit rate (kbps), measured or stated")
    axes.set_ylabel(metric.heading)
    axes.grid(linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3)


def draw_legend(figure: Figure, handlelength: float) -> None:
    """Draw the legend above the axes, in up to four columns if the names fit; the figure grows with its rows."""
    for columns in range(MOST_COLUMNS, 0, -1):
        legend = figure.legend(
            loc="outside upper left", ncols=columns, frameon=False, handlelength=handlelength, columnspacing=1.2
        )
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            rows = -(-len(legend.get_texts()) // columns)
            figure.set_figheight(figure.get_figheight() + (rows - 1) * ROW_INCHES)
            return
        legend.remove()


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page: without prologue, style sheet and clashing ids."""
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable}, {color})")
    return text
