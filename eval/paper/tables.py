"""A run arranged like a table of the EnCodec paper (arXiv 2210.13438), our figures beside the published ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from earmark.codec.suggestions import choose
from earmark.eval.paper.conditions import DOUBLE_DAGGER, condition_note, other_weights, weights_note
from earmark.eval.paper.figures import FIGURES, PCM_BITS, Figure, Measured, Variant, figure, mushra_figures, pcm_kbps
from earmark.eval.paper.published_tables import PaperColumn, PaperRow, PaperTable, published
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import lay_out

PAPER_NOTE = (
    "“paper”: figures of arXiv 2210.13438. “ours”: figures of this run over all its files; empty if a system was not "
    "run."
)
COMPRESSION_NOTE = f"Compression: bit rate of {PCM_BITS}-bit PCM over the measured one, without entropy coding."
MUSHRA_NOTE = "MUSHRA: mean ± half width of its 95 % confidence interval over ratings."
SPEED_NOTE = "Real-time factor: audio duration over processing time, higher is faster; "


def lay_out_like(
    name: str,
    summary: pd.DataFrame,
    info: Mapping[str, Any],
    study: pd.DataFrame | None = None,
    bench: Mapping[str, Mapping[str, Any]] | None = None,
    metrics: Collection[str] = (),
) -> Grid:
    """Arrange the run's systems in the rows of a table of the paper, one line per system.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        info: content of run.json.
        study: from `earmark.eval.paper.sources.read_study`.
        bench: from `earmark.eval.paper.sources.read_bench`; None takes real-time factors from the run.
        metrics: metrics of the run to show beside those of the table.

    Returns:
        A grid with data: a record for each figure of each line with the keys model, system, weights (if they are not
        the paper's), figure, paper, value, low, high and n. low and high are the 95 % confidence interval, for a
        real-time factor the quartiles.

    Raises:
        UserError: there is no such table, or the run has no such metric.
    """
    metrics = [choose(metric, summary["metric"].unique(), option="--metrics") for metric in metrics]
    table = published(name)
    layout = lay_out(summary, info["speech_categories"])
    overall = layout.sections[-1]
    ours = Measured(
        layout.columns, {row.system: row for row in overall.rows}, {one.system: one for one in layout.speeds},
        pcm_kbps(info), mushra_figures(study), bench or {},
    )  # fmt: skip
    extra = _extra_columns(table, ours, metrics)
    lines = _lines(table, ours, extra)
    scored = summary[summary["metric"].isin({*_figures(table), *metrics})]
    notes = _notes(table, ours, lines, info)
    if len(scored):
        notes += lay_out(scored, info["speech_categories"]).notes
    groups, names = zip(*_headings(table, extra), strict=True)
    return Grid(
        table.title, names, tuple(line.text for line in lines), tuple(notes), left=2,
        data=tuple(record for line in lines for record in line.records), groups=groups,
    )  # fmt: skip


def _figures(table: PaperTable) -> set[str]:
    return {column.figure for column in table.columns}


def _headings(table: PaperTable, extra: Sequence[PaperColumn]) -> list[tuple[str, str]]:
    """Group and heading of each printed column."""
    headings = [("", "Model"), ("", "System")]
    for column in table.columns:
        headings += [(column.heading, source) for source in _sources(column)]
    return headings + [("", column.heading) for column in extra]


def _notes(table: PaperTable, ours: Measured, lines: Sequence[Line], info: Mapping[str, Any]) -> list[str]:
    figures = _figures(table)
    notes = [PAPER_NOTE, *table.notes]
    notes += filter(None, (weights_note(line.system for line in lines), condition_note(table.condition, info)))
    if "compression" in figures:
        notes.append(COMPRESSION_NOTE)
    if any("_rtf" in figure for figure in figures):
        origin = "median and quartiles of `earmark bench`." if ours.bench else "measured during this run."
        notes.append(SPEED_NOTE + origin)
    if ours.mushra:
        notes.append(MUSHRA_NOTE)
    return notes


@dataclass(frozen=True)
class Line:
    """A row of the paper with one of our systems.

    Args:
        is_first: whether it is the first line of its row, which prints the paper's figures.
        system: "" if no system of the run belongs in the row.
        cells: column, the paper's figure (None if the paper has no such column), our figure.
    """

    label: str
    is_first: bool
    system: str
    cells: tuple[tuple[PaperColumn, str | None, Figure], ...]

    @property
    def text(self) -> tuple[str, ...]:
        marked = f"{self.system} {DOUBLE_DAGGER}" if other_weights(self.system) is not None else self.system
        cells = [self.label if self.is_first else "", marked]
        for column, printed, ours in self.cells:
            texts = {"paper": (printed or "") if self.is_first else "", "ours": ours.text}
            cells += [ours.text] if printed is None else [texts[source] for source in _sources(column)]
        return tuple(cells)

    @property
    def records(self) -> list[dict[str, Any]]:
        about = {"model": self.label, "system": self.system, "weights": other_weights(self.system) or ""}
        return [
            {**about, "figure": column.heading, "paper": printed or "", "value": ours.value, "low": ours.low,
             "high": ours.high, "n": ours.n}
            for column, printed, ours in self.cells
        ]  # fmt: skip


def _sources(column: PaperColumn) -> tuple[str, ...]:
    return ("paper", "ours") if column.figure in FIGURES else ("paper",)


def _lines(table: PaperTable, ours: Measured, extra: Sequence[PaperColumn]) -> list[Line]:
    columns = [*table.columns, *extra]
    lines = []
    for row in table.rows:
        printed = [*row.paper, *[None] * len(extra)]
        for number, variant in enumerate(_variants(row, ours) or [None]):
            measured = [figure(ours, variant, column) for column in columns]
            system = variant.plain if variant else ""
            lines.append(Line(row.label, number == 0, system, tuple(zip(columns, printed, measured, strict=True))))
    return lines


def _extra_columns(table: PaperTable, ours: Measured, metrics: Collection[str]) -> list[PaperColumn]:
    """Columns that the paper does not have: further metrics, and further categories of the listening test."""
    figures = {column.figure for column in table.columns}
    extra = [
        PaperColumn(one.heading, one.name) for one in ours.columns if one.name in metrics and one.name not in figures
    ]
    shown = {name for column in table.columns if column.figure == "mushra" for name in column.categories or (ALL,)}
    for category in dict.fromkeys(category for _, category in ours.mushra):
        if category not in shown:
            name = "all files" if category == ALL else category
            extra.append(PaperColumn(f"MUSHRA, {name}", "mushra", (category,)))
    return extra


def _variants(row: PaperRow, ours: Measured) -> list[Variant]:
    """The systems that belong in a row, each with its language-model version if that was run."""
    coded: dict[str, str | None] = {}
    for system in ours.systems:
        plain = re.sub(r":lm(=[^:]*)?(?=:|$)", "", system)
        if row.stands_for(plain):
            coded[plain] = coded.get(plain) or (system if system != plain else None)
    return [Variant(plain, with_model) for plain, with_model in coded.items()]
