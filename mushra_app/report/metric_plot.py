"""Plot of mean ratings against objective metrics, one panel per metric."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earmark.mushra_app.report.plot_style import INK, LIMITS, LINE, STYLES, add_role_legend, drawing
from earmark.mushra_app.study.study import Role

PANELS_PER_ROW = 2


def plot(joined: pd.DataFrame, roles: Mapping[str, Role]) -> Figure:
    """Draw a small dot for each item in each condition, and a large labelled marker for each condition's mean.

    Args:
        joined: from `earmark.mushra_app.analysis.objective.pairs`.
        roles: condition -> role, which sets marker and colour.
    """
    metrics = list(joined["metric"].unique())
    columns = min(len(metrics), PANELS_PER_ROW)
    rows = math.ceil(len(metrics) / columns)
    with drawing():
        figure = Figure(figsize=(3.1 * columns + 0.4, 2.6 * rows + 0.4), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
        for axes, metric in zip(grid, metrics, strict=False):
            _draw(axes, joined[joined["metric"] == metric], roles)
            axes.set_xlabel(metric)
        for axes in grid[::columns]:
            axes.set_ylabel("mean score")
        for axes in grid[len(metrics) :]:
            axes.set_visible(False)
        add_role_legend(figure, [roles[condition] for condition in joined["condition"].unique()])
    return figure


def _draw(axes: Axes, points: pd.DataFrame, roles: Mapping[str, Role]) -> None:
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    means = points.groupby("condition")[["value", "score"]].mean().sort_values("score")
    for index, (condition, x, y) in enumerate(means.itertuples(name=None)):
        marker, colour = STYLES[roles[condition]]
        rows = points[points["condition"] == condition]
        axes.scatter(rows["value"], rows["score"], s=7, color=colour, alpha=0.35, linewidth=0, zorder=2)
        axes.plot(x, y, marker, color=colour, markersize=7, markeredgecolor="white", markeredgewidth=0.8, zorder=4)
        leftwards = index % 2 == 1  # labels of neighbours on alternate sides, since their scores are often equal
        axes.annotate(
            condition, (x, y), xytext=(-7 if leftwards else 7, 0), textcoords="offset points", fontsize=7.5, color=INK,
            ha="right" if leftwards else "left", va="center", zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )  # fmt: skip
    axes.set_ylim(*LIMITS)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
