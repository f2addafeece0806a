"""Plot of the distribution of scores: a box plot per condition, and a dot for each listener's mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from earmark.mushra_app.report.plot_style import LIMITS, STYLES, add_role_legend, draw_bands, drawing
from earmark.mushra_app.study.study import Role

MOST_DOTS = 300  # listeners; more dots would merge
GOLDEN = 0.6180339887  # its multiples modulo 1 are evenly spread and reproducible, unlike random jitter


def plot(frame: pd.DataFrame, conditions: list[str], roles: Mapping[str, Role]) -> Figure:
    """Draw one row per condition.

    Each has a box from the first to the third quartile with a line at the median, whiskers to the last score within 1.5
    interquartile ranges of the box, and behind them the listeners' means.

    Args:
        frame: ratings: listener, condition, score.
        conditions: conditions from top to bottom.
        roles: condition -> role, which sets the colour.
    """
    width = 4.7 + 0.075 * max([len(name) for name in conditions], default=0)
    with drawing():
        figure = Figure(figsize=(width, 0.4 * max(len(conditions), 2) + 1), layout="constrained")
        axes = figure.add_subplot()
        draw_bands(axes)
        for row, condition in enumerate(conditions):
            rated = frame[frame["condition"] == condition]
            _, colour = STYLES[roles[condition]]
            means = rated.groupby("listener")["score"].mean().to_numpy()
            if len(means) <= MOST_DOTS:
                spread = (np.arange(1, len(means) + 1) * GOLDEN % 1 - 0.5) * 0.5
                axes.scatter(means, row + spread, s=9, color=colour, alpha=0.45, linewidth=0, zorder=2)
            lines = {"color": colour, "linewidth": 1.4}
            axes.boxplot(
                rated["score"], positions=[row], orientation="horizontal", widths=0.55, showfliers=False,
                manage_ticks=False, boxprops=lines, whiskerprops=lines, capprops=lines, zorder=3,
                medianprops={"color": colour, "linewidth": 3},
            )  # fmt: skip
        axes.set_xlim(*LIMITS)
        axes.set_ylim(max(len(conditions), 2) - 0.4, -0.6)
        axes.set_xticks(range(0, 101, 20))
        axes.set_yticks(range(len(conditions)), conditions)
        axes.tick_params(length=0)
        axes.set_xlabel("score", fontsize=8)
        axes.spines[:].set_visible(False)
        add_role_legend(figure, [roles[condition] for condition in conditions])
    return figure
