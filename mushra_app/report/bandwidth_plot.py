"""Plot of mean scores against bit rate, with hollow markers for entropy coding (EnCodec paper, Figure 3)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from earmark.eval.paper import published_figure
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis.rates import rate_of, without_model
from earmark.mushra_app.report.intervals import Intervals
from earmark.mushra_app.report.plot_style import GROUND, INK, LIMITS, LINE, MUTED, SCALE, SERIES, drawing, score_label

TICKS = 1.5 * 2.0 ** np.arange(-3, 9)  # kbps
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANELS_PER_ROW = 3
NAME_HEIGHT = 5  # of the name of a line, in points of the scale from 0 to 100
DASHES = ((0, (6, 3)), (0, (2, 2)), (0, (6, 2, 1, 2)))


@dataclass(frozen=True)
class Point:
    """A condition in a panel.

    Args:
        series: codec with its options, without bit rate and language model.
        kbps: measured bit rate; that with entropy coding if `hollow`.
        low, high: ends of the 95 % interval, NaN if there is none.
        hollow: entropy-coded.
        published: of the paper.
    """

    series: str
    kbps: float
    mean: float
    low: float
    high: float
    hollow: bool
    published: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether the interval extends beyond the scale."""
        return self.low < SCALE[0] or self.high > SCALE[1]


def points(summary: pd.DataFrame, rates: pd.DataFrame, intervals: Intervals, category: str) -> list[Point]:
    """The conditions of a category whose bit rates are known.

    Args:
        summary: rows of summary.csv.
        rates: from `earmark.mushra_app.analysis.rates`.
    """
    made = []
    for row in summary[summary["category"] == category].to_dict("records"):
        if row["role"] != "system":
            continue
        ends = row[f"{intervals.lead}_low"], row[f"{intervals.lead}_high"]
        for kbps, hollow in zip(rate_of(rates, row["condition"], category), (False, True), strict=True):
            if math.isfinite(kbps):
                made.append(Point(series_of(row["condition"]), kbps, row["mean"], *ends, hollow))
    return made


def series_of(condition: str) -> str:
    """The codec of a condition: "encodec_24khz@3:lm" -> "encodec_24khz"; a name without "@" stays as it is."""
    family, _, rest = without_model(condition).partition("@")
    _, colon, options = rest.partition(":")
    return family + colon + options


def paper_points(category: str) -> list[Point]:
    """The published points of a category."""
    return [
        Point(one.series, kbps, one.mean, one.low, one.high, hollow, published=True)
        for one in published_figure.points(category)
        for kbps, hollow in ((one.kbps, False), (one.coded_kbps, True))
        if math.isfinite(kbps)
    ]


def known_rates(summary: pd.DataFrame, rates: pd.DataFrame | None) -> bool:
    """Whether the bit rate of a condition is known, so that there is something to draw."""
    return rates is not None and bool(set(summary.loc[summary["role"] == "system", "condition"]) & _rated(rates))


def _rated(rates: pd.DataFrame) -> set[str]:
    return set(rates.loc[rates[["kbps", "coded_kbps"]].notna().any(axis=1), "condition"])


def plot(
    summary: pd.DataFrame, rates: pd.DataFrame, intervals: Intervals, published: bool = False, remark: str = ""
) -> Figure:  # fmt: skip
    """Draw one panel for all ratings and, if there are several categories, one for each.

    A filled marker stands at the bit rate of the codes, a hollow one at the bit rate with entropy coding, which leaves
    the audio as it is. Hidden reference and anchors are dashed lines. An interval that leaves the scale is cut at its
    edge, where no score can be, and the label of the axis says so; tables have it in full.

    Args:
        summary: rows of summary.csv.
        rates: from `earmark.mushra_app.analysis.rates`.
        intervals: the leading ones are drawn.
        published: draw the paper's points too, faint and joined by dots, and its categories if the test has none.
        remark: line above the panels.
    """
    categories = [str(name) for name in summary["category"].unique()]
    panels = categories if len(categories) > 2 else categories[:1] or [ALL]
    if published and len(panels) == 1:
        panels = [*panels, *published_figure.categories()]
    shown = {name: points(summary, rates, intervals, name) for name in panels}
    theirs = {name: paper_points(name) if published else [] for name in panels}
    names = dict.fromkeys(one.series for group in (*shown.values(), *theirs.values()) for one in group)
    looks = dict(zip(names, zip(itertools.cycle(SERIES), itertools.cycle(MARKERS)), strict=False))
    columns = 2 if len(panels) == 4 else min(len(panels), PANELS_PER_ROW)
    rows = math.ceil(len(panels) / columns)
    with drawing():
        figure = Figure(figsize=(1 + 3.1 * columns if columns > 1 else 5.6, 2.9 * rows + 0.9), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
        for axes, name in zip(grid, panels, strict=False):
            for group in (theirs[name], shown[name]):
                _draw(axes, group, looks)
            _draw_lines(axes, summary[(summary["category"] == name) & (summary["role"] != "system")])
            if len(panels) > 1:
                title = "all categories" if name == ALL else name
                axes.set_title(title, fontsize=9.5, fontweight="bold", loc="left", pad=10)
        drawn = [one for group in (*shown.values(), *theirs.values()) for one in group]
        _dress(grid, len(panels), columns, drawn)
        if remark:
            figure.suptitle(remark, fontsize=9, color=MUTED)
        _add_legend(figure, looks, drawn)
    return figure


def _draw(axes: Axes, group: list[Point], looks: Mapping[str, tuple[str, str]]) -> None:
    for (series, hollow), members in itertools.groupby(
        sorted(group, key=lambda one: (one.series, one.hollow, one.kbps)), lambda one: (one.series, one.hollow)
    ):
        chosen = list(members)
        colour, marker = looks[series]
        published = chosen[0].published
        means, low, high = (np.array([getattr(one, name) for one in chosen]) for name in ("mean", "low", "high"))
        spread = np.stack([means - low.clip(*SCALE), high.clip(*SCALE) - means]).clip(0)  # NaN draws no interval
        axes.errorbar(
            [one.kbps for one in chosen], means, yerr=spread, color=colour, marker=marker, capsize=2,
            markersize=4 if published else 6, markerfacecolor=GROUND if hollow else colour, markeredgewidth=1.2,
            linewidth=1 if published or hollow else 1.7, elinewidth=0.9, alpha=0.55 if published else 1,
            linestyle=(0, (1, 2)) if published else (0, (4, 2)) if hollow else "-", zorder=2 if published else 4,
        )  # fmt: skip


def _draw_lines(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a named line at each mean; a name that would lie on the next line's stands below its line."""
    lines = rows.sort_values("mean").to_dict("records")
    above = [line["mean"] for line in lines[1:]] + [math.inf]
    for row, following, dashes in zip(lines, above, itertools.cycle(DASHES), strict=False):
        below = following - row["mean"] < NAME_HEIGHT
        axes.axhline(row["mean"], color=MUTED, linewidth=0.9, linestyle=dashes, zorder=1)
        axes.annotate(
            row["condition"], (0.01, row["mean"]), xycoords=("axes fraction", "data"), xytext=(0, -2 if below else 2),
            textcoords="offset points", fontsize=7, color=MUTED, va="top" if below else "bottom",
        )  # fmt: skip


def _dress(grid: list[Axes], panels: int, columns: int, drawn: Sequence[Point]) -> None:
    """Style the axes, which all panels share."""
    rates = [one.kbps for one in drawn]
    label = score_label(any(one.is_cut for one in drawn)).replace(", cut", ",\ncut")  # a panel is too low for one line
    low, high = (min(rates) / 1.4, max(rates) * 1.4) if rates else (1.0, 24.0)
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    for number, axes in enumerate(grid):
        if number >= panels:
            axes.set_visible(False)
            continue
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(*LIMITS)
        axes.set_yticks(range(0, 101, 20))
        axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda kbps, _: f"{kbps:g}"))
        axes.grid(color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelbottom=number >= panels - columns)
        axes.spines[:].set_visible(False)
        if number >= panels - columns:
            axes.set_xlabel("bit rate (kbps)", fontsize=8)
        if number % columns == 0:
            axes.set_ylabel(label, fontsize=8)


def _add_legend(figure: Figure, looks: Mapping[str, tuple[str, str]], drawn: list[Point]) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, linewidth=1.6, markersize=5, label=name)
        for name, (colour, marker) in looks.items()
    ]
    if any(one.hollow for one in drawn):
        handles.append(
            Line2D([], [], color=INK, marker="o", markerfacecolor=GROUND, linestyle=(0, (4, 2)), linewidth=1,
                   markersize=5, label="with entropy coding")
        )  # fmt: skip
    if any(one.published for one in drawn):
        handles.append(
            Line2D([], [], color=INK, marker="o", alpha=0.55, linestyle=(0, (1, 2)), linewidth=1, markersize=4,
                   label="EnCodec paper")
        )  # fmt: skip
    width = max(len(str(handle.get_label())) for handle in handles) * 0.075 + 0.5 if handles else 1
    columns = max(1, min(4, int(figure.get_figwidth() / width)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
