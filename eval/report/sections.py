"""The content of the report's sections: curves, comparisons of systems, definitions of metrics."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from earmark.codec.errors import UserError
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Metric
from earmark.eval.report import plots
from earmark.eval.report.matrix import Matrix, matrices
from earmark.eval.statistics.bjontegaard import deltas
from earmark.eval.statistics.differences import Difference, differences, metrics_of
from earmark.eval.tables.columns import Column
from earmark.eval.tables.difference_grids import delta_grid, difference_grid
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import Layout
from earmark.eval.tables.published import MARK, is_published


@dataclass(frozen=True)
class Panel:
    """One plot: its category, a footnote mark or "", its SVG element."""

    category: str
    mark: str
    svg: Markup


@dataclass(frozen=True)
class Curves:
    """The plots of one metric, one panel per category, with their footnotes."""

    metric: Column
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The differences between systems by one metric.

    Args:
        matrices: one per category if there are many systems, otherwise () and the list is shown.
        pairs: list of all pairs.
        deltas: table of Bjontegaard deltas, None if no codec has two bit rates.
    """

    metric: str
    matrices: tuple[Matrix, ...]
    pairs: Grid
    deltas: Grid | None


@dataclass(frozen=True)
class Definition:
    """A metric explained: title, unit with range and direction, input format, and what it measures."""

    title: str
    scale: str
    input_format: str
    text: str


def curves(summary: pd.DataFrame, layout: Layout, styles: Mapping[str, plots.Style]) -> list[Curves]:
    """Plot each metric for which a codec has a score."""
    result = []
    for index, metric in enumerate(layout.columns):
        shared = plots.limits(summary, metric.name)
        if shared is not None:
            marks = {
                section.category: max(row.cells[index].mark for row in section.rows) for section in layout.sections
            }
            panels = tuple(
                Panel(category, mark, Markup(plots.rate_plot(summary, metric, category, styles, shared)))
                for category, mark in marks.items()
            )
            shown = is_published(summary) & (summary["metric"] == metric.name) & summary["kbps_nominal"].notna()
            footnotes = tuple(filter(None, [*marks.values(), MARK if shown.any() else ""]))
            notes = tuple(note for note in layout.notes if note.startswith(footnotes))
            result.append(Curves(metric, panels, notes))
    return result


def pairs_by_metric(scores: pd.DataFrame, speech_categories: Collection[str]) -> dict[str, list[Difference]]:
    """Compare all pairs of systems by each metric; {} for a run of one system."""
    if scores["system"].nunique() < 2:
        return {}
    return {name: differences(scores, name, speech_categories=speech_categories) for name in metrics_of(scores)}


def comparisons(
    scores: pd.DataFrame, pairs: Mapping[str, Sequence[Difference]], speech_categories: Collection[str]
) -> list[Comparison]:
    """Differences and Bjontegaard deltas by each metric.

    Args:
        pairs: from `pairs_by_metric`.
    """
    result = []
    for name, members in pairs.items():
        gains = deltas(scores, name, speech_categories)
        result.append(
            Comparison(
                name, tuple(matrices(members)), difference_grid(members, name, speech_categories),
                delta_grid(gains, name, speech_categories) if gains else None,
            )
        )  # fmt: skip
    return result


def definitions(info: Mapping[str, Any]) -> list[Definition]:
    """Explain the metrics of the run; a metric with modes is explained in the modes that the run used."""
    speech = {recording["category"] in info["speech_categories"] for recording in info["recordings"]}
    metrics: dict[str, Metric] = {}
    for name in info["metrics"]:
        for is_speech in sorted(speech):
            try:
                metric = registry.find(name, speech=is_speech)
            except UserError:  # the run was made where more metrics were installed
                continue
            metrics[metric.name] = metric
    return [
        Definition(
            title=metric.title,
            scale=", ".join(filter(None, (metric.unit, metric.value_range, f"{metric.better} is better"))),
            input_format=metric.input_format,
            text=(inspect.getdoc(metric.function) or "").partition("\n")[0],
        )
        for metric in metrics.values()
    ]
