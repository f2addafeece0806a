"""Plot of the mean score of every condition with 95 % confidence intervals, on the five bands of the scale."""

from __future__ import annotations

import math
from typing import cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.report.intervals import Intervals
from earmark.mushra_app.report.plot_style import (
    LIMITS,
    MUTED,
    SCALE,
    STYLES,
    add_role_legend,
    draw_bands,
    drawing,
    score_label,
)
from earmark.mushra_app.study.study import Role

PANELS_PER_ROW = 3


def plot(summary: pd.DataFrame, intervals: Intervals) -> Figure:
    """Draw one panel for all ratings and, if there are several categories, one for each.

    The thick bar is the leading interval, the thin line the second. An interval that leaves the scale is cut at its
    edge, where no score can be, and the label of the axis says so; tables have it in full.

    Args:
        summary: rows of summary.csv, see `earmark.mushra_app.analysis.results`; the best condition is drawn on top.
        intervals: which intervals to draw.
    """
    categories = list(summary["category"].unique())
    panels = categories if len(categories) > 2 else categories[:1] or [ALL]
    conditions = list(dict.fromkeys(summary["condition"]))
    columns = 2 if len(panels) == 4 else min(len(panels), PANELS_PER_ROW)
    rows = math.ceil(len(panels) / columns)
    label_width = 0.075 * max([len(name) for name in conditions], default=0) + 0.3
    width = label_width + (4.4 if columns == 1 else 2.6 * columns)
    label = score_label(cuts_an_interval(summary, intervals))
    height = rows * (0.27 * max(len(conditions), 2) + 0.75) + 0.6
    with drawing():
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
        for axes, category in zip(grid, panels, strict=False):
            _draw(axes, summary[summary["category"] == category], conditions, intervals)
            if len(panels) > 1:
                title = "all categories" if category == ALL else category
                axes.set_title(title, fontsize=9.5, fontweight="bold", loc="left", pad=16)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[: len(panels)][-columns:]:  # the lowest panel of each column
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(label, fontsize=8)
        add_role_legend(figure, summary["role"])
    return figure


def cuts_an_interval(summary: pd.DataFrame, intervals: Intervals) -> bool:
    """Whether an interval extends beyond the scale."""
    return any(
        bool(((summary[f"{name}_low"] < SCALE[0]) | (summary[f"{name}_high"] > SCALE[1])).any())
        for name in (intervals.lead, intervals.second)
    )


def _draw(axes: Axes, rows: pd.DataFrame, conditions: list[str], intervals: Intervals) -> None:
    draw_bands(axes)
    for role, group in rows.groupby("role"):
        marker, colour = STYLES[cast(Role, role)]
        positions = group["condition"].map(conditions.index)
        for name, width, layer in ((intervals.second, 1, 2), (intervals.lead, 3.2, 3)):
            low, high = (group[f"{name}_{end}"].clip(*SCALE) for end in ("low", "high"))
            axes.hlines(positions, low, high, color=colour, linewidth=width, zorder=layer)
        axes.plot(
            group["mean"], positions, marker, color=colour, markersize=5.5, markeredgecolor="white",
            markeredgewidth=0.6, zorder=4,
        )  # fmt: skip
    if rows.empty:
        axes.text(50, 0.5, "no ratings left", ha="center", va="center", color=MUTED)
    axes.set_xlim(*LIMITS)
    axes.set_ylim(max(len(conditions), 2) - 0.4, -0.6)
    axes.set_xticks(range(0, 101, 20))
    axes.set_yticks(range(len(conditions)), conditions)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
