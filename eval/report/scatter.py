"""Scatter plots of metric against metric, a point per recording and system: listen where the two disagree."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from earmark.eval.report.chart import MUTED, Axis, Series, draw, linear
from earmark.eval.report.plots import Style, series_name
from earmark.eval.statistics.scales import modes_of
from earmark.eval.tables.columns import describe

MOST_METRICS = 4  # makes at most six panels
MOST_POINTS = 1500  # drawn per panel; the correlation includes all
SEED = 3


@dataclass(frozen=True)
class Scatter:
    """A panel: its title, its correlation as text, and its SVG element."""

    title: str
    correlation: str
    svg: Markup


def scatters(
    scores: pd.DataFrame, styles: Mapping[str, Style], speech_categories: Collection[str] = ()
) -> list[Scatter]:
    """Plot each pair of the run's first metrics that both have scores for the same recordings and systems.

    A metric with modes gets a panel per mode, because its two scales cannot share an axis.

    Args:
        scores: rows of RUN/scores.parquet.
        styles: from `earmark.eval.report.plots.styles`.
        speech_categories: categories scored in speech mode.
    """
    good = scores[scores["status"] == "ok"]
    scored = set(good["metric"])
    metrics = [str(name) for name in scores["metric"].unique() if name in scored][:MOST_METRICS]
    values = good.pivot_table(index=["file", "category", "system"], columns="metric", values="value", sort=False)
    panels = []
    for x, y in itertools.combinations(metrics, 2):
        shared = values[[x, y]].dropna().reset_index()
        categories = shared["category"].unique().tolist()
        modes = modes_of(x, categories, speech_categories) or modes_of(y, categories, speech_categories)
        for mode, members in (modes if len(modes) > 1 else {"": categories}).items():
            points = shared[shared["category"].isin(members)]
            if len(points) > 2:
                rho = points[x].rank().corr(points[y].rank())
                panels.append(
                    Scatter(
                        f"{describe(y).title} against {describe(x).title}{f', {mode} mode' if mode else ''}",
                        f"Spearman's ρ = {rho:.2f} over {len(points)} scores",
                        Markup(_draw(points, x, y, styles, mode)),
                    )
                )
    return panels


def _draw(points: pd.DataFrame, x: str, y: str, styles: Mapping[str, Style], mode: str) -> str:
    shown = points.sample(min(MOST_POINTS, len(points)), random_state=SEED).sort_index()  # legends in the run's order
    series = []
    for name, rows in shown.groupby(shown["system"].map(series_name), sort=False):
        style = styles.get(str(name), Style(MUTED, "X"))
        values = list(zip(rows[x], rows[y], strict=True))
        series.append(Series(str(name), values, style.color, style.marker, size=3.2, opacity=0.7))
    return draw(_axis(shown[x], x), _axis(shown[y], y), series)


def _axis(values: pd.Series, metric: str) -> Axis:
    """An axis that holds all values with room for their markers."""
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return linear(low - pad, high + pad, describe(metric).heading)
