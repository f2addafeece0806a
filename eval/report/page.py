"""RUN/report.html: one file that holds everything - tables, plots, audio, script - and asks the network for nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.eval.comparison.run_folder import REPORT
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Metric
from earmark.eval.report import assets, plots
from earmark.eval.report.choice import OUTLIER, ranking_metric
from earmark.eval.report.excerpts import cut, lay_beside, remove
from earmark.eval.report.missing import missing
from earmark.eval.report.scatter import scatters
from earmark.eval.report.summary import headline_metric, sentences
from earmark.eval.statistics import bjontegaard, differences
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.statistics.scales import decimals_of
from earmark.eval.tables.difference_grids import delta_grid, difference_grid
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import SPEED_MEANING, Column, Layout, describe, lay_out
from earmark.eval.tables.numbers import factor_text, kbps_text, nominal_text

_HERE = Path(__file__).parent
WORST_LISTED = 3  # recordings of each system
LISTED = 500  # recordings in the page's own list; run.json has them all


@dataclass(frozen=True)
class Panel:
    """One plot: its category, a footnote mark or "", its SVG element."""

    category: str
    mark: str
    svg: Markup


@dataclass(frozen=True)
class Curves:
    """The plots of one metric, a panel per category, with the footnotes that they need."""

    metric: Column
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Definition:
    """What a reader must know of a metric: unit, range and direction, how the signals reach it, what it measures."""

    title: str
    scale: str
    heard: str
    text: str


def write_report(
    run: Path,
    scores: pd.DataFrame,
    info: Mapping[str, Any],
    *,
    summary: pd.DataFrame | None = None,
    linked: bool = False,
) -> Path:
    """Write RUN/report.html.

    Args:
        run: folder of the run, with the decoded audio.
        scores: rows of RUN/scores.parquet.
        info: content of RUN/run.json.
        summary: `summarise(scores)`, if the caller has it already.
        linked: store the players' audio in RUN/excerpts instead of in the page.

    Returns:
        The path of the report.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    summary = summarise(scores) if summary is None else summary
    layout = lay_out(summary, info["speech_categories"])
    ranking, headline = ranking_metric(scores), headline_metric(scores)
    looks = plots.styles(summary.loc[summary["kbps"].notna(), "system"].unique())
    speech = info["speech_categories"]
    pairs = _pairs(scores, speech)
    excerpts = cut(run, scores, linked=linked)
    if not linked:
        remove(run)  # of an earlier report
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "kbps": kbps_text, "nominal": nominal_text, "factor": factor_text, "clock": clock, "minus": minus,
        "decibels": lambda gain: minus(f"{gain:+.1f} dB"),
    }  # fmt: skip
    text = environment.get_template("report.html").render(
        info=info,
        layout=layout,
        speed_note=SPEED_MEANING,
        recordings=[entry for entry in info["recordings"] if not entry["error"]],
        listed=LISTED,
        missing=missing(scores, info),
        curves=_curves(summary, layout, looks),
        scatters=scatters(scores, looks, speech),
        excerpts=excerpts,
        links=lay_beside(run, excerpts) if linked else [],
        outlier=OUTLIER,
        codecs=list(looks),
        headline=describe(headline) if headline else None,
        sentences=sentences(summary, pairs[headline], headline) if headline in pairs else [],
        comparisons=_comparisons(scores, pairs, speech),
        worst=_worst(scores),
        ranking=describe(ranking) if ranking else None,
        definitions=_definitions(info),
        style=Markup(assets.style()),
        import_map=assets.import_map(),
        modules=assets.MODULES,
    )
    path = run / REPORT
    write_text(path, text)
    return path


def clock(seconds: float) -> str:
    """ "0:07.5", "1:02:03" from an hour on."""
    minutes, rest = divmod(round(seconds, 1), 60)
    if minutes < 60:
        return f"{minutes:.0f}:{rest:04.1f}"
    return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{rest:02.0f}"


def minus(text: str) -> str:
    """The typographer's sign in place of a leading hyphen."""
    return re.sub(r"^-", "−", text)


def _curves(summary: pd.DataFrame, layout: Layout, looks: Mapping[str, plots.Style]) -> list[Curves]:
    """The plots of each metric; one for which no codec has a score has none."""
    curves = []
    for index, metric in enumerate(layout.columns):
        shared = plots.limits(summary, metric.name)
        if shared is not None:
            marks = {
                section.category: max(row.cells[index].mark for row in section.rows) for section in layout.sections
            }
            panels = tuple(
                Panel(category, mark, Markup(plots.rate_plot(summary, metric, category, looks, shared)))
                for category, mark in marks.items()
            )
            notes = tuple(note for note in layout.notes if note.startswith(tuple(filter(None, marks.values()))))
            curves.append(Curves(metric, panels, notes))
    return curves


def _pairs(scores: pd.DataFrame, speech: Collection[str]) -> dict[str, list[differences.Difference]]:
    """For each metric every pair of systems; none of one system."""
    if scores["system"].nunique() < 2:
        return {}
    return {
        name: differences.differences(scores, name, speech_categories=speech) for name in differences.metrics_of(scores)
    }


def _comparisons(
    scores: pd.DataFrame, pairs: Mapping[str, Sequence[differences.Difference]], speech: Collection[str]
) -> list[tuple[Grid, ...]]:
    """For each metric, the paired differences, and the bit rate saved where there are curves."""
    found = []
    for name, of_metric in pairs.items():
        grids = [difference_grid(of_metric, name, speech)]
        if deltas := bjontegaard.deltas(scores, name, speech):
            grids.append(delta_grid(deltas, name, speech))
        found.append(tuple(grids))
    return found


def _worst(scores: pd.DataFrame) -> list[Grid]:
    """The recordings on which each codec falls farthest behind its own median, by each metric."""
    coded = scores[scores["kbps"].notna()]
    grids = []
    for name in differences.metrics_of(coded):
        decimals = decimals_of(coded[coded["metric"] == name].groupby(["system", "category"])["value"].mean())
        rows = tuple(
            (
                row["system"], row["category"], row["file"], minus(f"{row['value']:.{decimals}f}"),
                minus(f"{row['gap']:+.{decimals}f}"),
            )
            for row in differences.outliers(coded, name, WORST_LISTED).to_dict("records")
        )  # fmt: skip
        headings = ("System", "Category", "Recording", "score", "against the median")
        if rows:
            grids.append(Grid(describe(name).title, headings, rows, left=3))
    return grids


def _definitions(info: Mapping[str, Any]) -> list[Definition]:
    """The metrics of the run; one that follows the category is given in the modes in which it was used."""
    speech = {entry["category"] in info["speech_categories"] for entry in info["recordings"]}
    found: dict[str, Metric] = {}
    for name in info["metrics"]:
        for is_speech in sorted(speech):
            try:
                metric = registry.find(name, speech=is_speech)
            except UserError:  # of a run made where more metrics were installed
                continue
            found[metric.name] = metric
    return [
        Definition(
            title=metric.title,
            scale=", ".join(filter(None, (metric.unit, metric.value_range, f"{metric.better} is better"))),
            heard=metric.heard,
            text=(inspect.getdoc(metric.function) or "").partition("\n")[0],
        )
        for metric in found.values()
    ]
