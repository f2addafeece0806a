"""The plot of a listening test: mean and 95 % confidence interval of every condition on the scale's five bands."""

from __future__ import annotations

import math
import warnings
from io import BytesIO
from typing import Any, cast

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eval.aggregate import ALL
from mushra_app.study import Role

BANDS = ("Bad", "Poor", "Fair", "Good", "Excellent")  # twenty points each (BS.1534-3, 5.4)
LIMITS = (-3, 103)  # of the drawing: the scale, and room for a marker at its ends
SHADES = ("#f4f5f7", "#e9ebef")
STYLES: dict[Role, tuple[str, str]] = {
    "system": ("o", "#1d4f91"),
    "hidden reference": ("D", "#1b7a4b"),
    "mid anchor": ("s", "#a06a00"),
    "low anchor": ("v", "#b3402a"),
}
PANELS_PER_ROW = 3
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "svg.fonttype": "none",  # text stays text: searchable, and in the reader's font where ours lacks a script
    "svg.hashsalt": "earmark",  # the same ratings give the same file
    "text.parse_math": False,  # a condition may be called "$6"
}


def plot(summary: pd.DataFrame) -> Figure:
    """One panel for all ratings and, where there are several categories, one for each.

    An interval that leaves the scale is cut at its edge, so that a few ratings do not squeeze everything else.

    Args:
        summary: rows of `mushra_app.statistics.summarise` with a column role; the best condition is drawn on top.
    """
    categories = list(summary["category"].unique())
    panels = categories if len(categories) > 2 else categories[:1] or [ALL]
    conditions = list(dict.fromkeys(summary["condition"]))
    columns = min(len(panels), PANELS_PER_ROW)
    rows = math.ceil(len(panels) / columns)
    label_width = 0.075 * max([len(name) for name in conditions], default=0) + 0.3
    width = label_width + (6.2 if columns == 1 else 2.9 * columns)
    height = rows * (0.27 * max(len(conditions), 2) + 0.75) + 0.6
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that the font lacks
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
        for axes, category in zip(grid, panels, strict=False):
            _draw(axes, summary[summary["category"] == category], conditions)
            if len(panels) > 1:
                title = "all categories" if category == ALL else category
                axes.set_title(title, fontsize=9.5, fontweight="bold", loc="left", pad=16)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[: len(panels)][-columns:]:  # the lowest panel of each column
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("mean score, 95 % interval", fontsize=8)
        _add_legend(figure, summary)
    return figure


def cuts_an_interval(summary: pd.DataFrame) -> bool:
    """Whether an interval leaves the drawing."""
    return bool(((summary["ci95_low"] < LIMITS[0]) | (summary["ci95_high"] > LIMITS[1])).any())


def svg(figure: Figure) -> str:
    """The figure as an <svg> element without XML prolog, to stand inside an HTML page or, by itself, in a file."""
    text = _rendered(figure, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def png(figure: Figure) -> bytes:
    """The figure as a PNG image of 200 dots per inch."""
    return _rendered(figure, "png")


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _draw(axes: Axes, rows: pd.DataFrame, conditions: list[str]) -> None:
    for place, band in enumerate(BANDS):
        axes.axvspan(20 * place, 20 * place + 20, color=SHADES[place % 2], linewidth=0, zorder=0)
        axes.annotate(
            band, (20 * place + 10, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize=7, color="#5a6270",
        )  # fmt: skip
    for role, group in rows.groupby("role"):
        marker, colour = STYLES[cast(Role, role)]
        axes.errorbar(
            group["mean"], group["condition"].map(conditions.index), xerr=group["ci95_high"] - group["mean"],
            fmt=marker, color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.6,
            elinewidth=1.6, capsize=3, capthick=1.2,
        )  # fmt: skip
    if rows.empty:
        axes.text(50, 0.5, "no ratings left", ha="center", va="center", color="#5a6270")
    axes.set_xlim(*LIMITS)
    axes.set_ylim(max(len(conditions), 2) - 0.4, -0.6)
    axes.set_xticks(range(0, 101, 20))
    axes.set_yticks(range(len(conditions)), conditions)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _add_legend(figure: Figure, summary: pd.DataFrame) -> None:
    roles = [role for role in STYLES if role in set(summary["role"])]
    handles = [
        Line2D([], [], marker=STYLES[role][0], color=STYLES[role][1], linewidth=1.6, markersize=5, label=role)
        for role in roles
    ]
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
