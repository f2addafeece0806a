"""A run arranged like a table of the EnCodec paper (arXiv 2210.13438), our figures beside the published ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import pandas as pd

from earmark.codec.suggestions import choose
from earmark.eval.comparison.failures import failed_systems
from earmark.eval.paper.conditions import DOUBLE_DAGGER, condition_note, other_weights, weights_note
from earmark.eval.paper.figures import (
    FIGURES,
    NO_SYSTEM,
    PCM_BITS,
    Figure,
    Measured,
    Variant,
    figure,
    mushra_figures,
    pcm_kbps,
)
from earmark.eval.paper.published_tables import PaperColumn, PaperRow, PaperTable, published
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import lay_out
from earmark.eval.tables.numbers import DASH

PAPER_NOTE = (
    "“paper”: figures of arXiv 2210.13438. “ours”: figures of this run over all its files. A letter stands for a "
    f"missing figure, whose reason is below; {DASH} for one that does not exist."
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
    scores: pd.DataFrame | None = None,
) -> Grid:
    """Arrange the run's systems in the rows of a table of the paper, one line per system.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        info: content of run.json.
        study: from `earmark.eval.paper.sources.read_study`.
        bench: from `earmark.eval.paper.sources.read_bench`; None takes real-time factors from the run.
        metrics: metrics of the run to show beside those of the table.
        scores: rows of RUN/scores.parquet, for the reasons of systems that failed.

    Returns:
        A grid with data: a record for each figure of each line with the keys model, system, weights (if they are not
        the paper's), figure, paper, value, low, high, n and reason (of a missing figure). low and high are the 95 %
        confidence interval, for a real-time factor the quartiles. Systems that belong in no row, and those that
        failed, are named below the table.

    Raises:
        UserError: there is no such table, or the run has no such metric.
    """
    metrics = [choose(metric, summary["metric"].unique(), option="--metrics") for metric in metrics]
    table = published(name)
    layout = lay_out(summary, info["speech_categories"])
    overall = layout.sections[-1].rows if layout.sections else ()  # a table of speeds alone has no scores
    ours = Measured(
        layout.columns, {row.system: row for row in overall}, {one.system: one for one in layout.speeds},
        pcm_kbps(info), mushra_figures(study), bench or {}, {} if scores is None else failed_systems(scores),
    )  # fmt: skip
    extra = _extra_columns(table, ours, metrics)
    lines = _lines(table, ours, extra)
    marks = letters(figure.reason for line in lines for _, _, figure in line.cells if figure.reason)
    scored = summary[summary["metric"].isin({*_figures(table), *metrics})]
    notes = [*_notes(table, ours, lines, info), *_reasons(table, lines, marks), *_without_row(table, ours)]
    if len(scored):
        notes += lay_out(scored, info["speech_categories"]).notes
    groups, names = zip(*_headings(table, extra), strict=True)
    return Grid(
        table.title, names, tuple(line.text(marks) for line in lines), tuple(notes), left=2,
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
        failed: whether the system decoded no recording.
    """

    label: str
    is_first: bool
    system: str
    cells: tuple[tuple[PaperColumn, str | None, Figure], ...]
    failed: bool = False

    def text(self, marks: Mapping[str, str]) -> tuple[str, ...]:
        """The cells as printed.

        Args:
            marks: from `letters`.
        """
        marked = f"{self.system} {DOUBLE_DAGGER}" if other_weights(self.system) is not None else self.system
        cells = [self.label if self.is_first else "", f"{marked} (failed)" if self.failed else marked]
        for column, printed, ours in self.cells:
            own = marks[ours.reason] if ours.reason else ours.text
            texts = {"paper": (printed or "") if self.is_first else "", "ours": own}
            cells += [own] if printed is None else [texts[source] for source in _sources(column)]
        return tuple(cells)

    @property
    def records(self) -> list[dict[str, Any]]:
        about = {"model": self.label, "system": self.system, "weights": other_weights(self.system) or ""}
        return [
            {**about, "figure": column.heading, "paper": printed or "", "value": ours.value, "low": ours.low,
             "high": ours.high, "n": ours.n, "reason": ours.reason}
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
            measured = [
                Figure(DASH) if variant is None and text == DASH else figure(ours, variant, column)
                for column, text in zip(columns, printed, strict=True)
            ]
            system = variant.plain if variant else ""
            cells = tuple(zip(columns, printed, measured, strict=True))
            lines.append(Line(row.label, number == 0, system, cells, system in ours.failed))
    return lines


def letters(reasons: Iterable[str]) -> dict[str, str]:
    """Reason -> its mark, "(a)", "(b)" and so on, in the order of the reasons; after "(z)" comes "(aa)"."""
    marks = {}
    for number, reason in enumerate(dict.fromkeys(reasons)):
        count, index = divmod(number, len(ascii_lowercase))
        marks[reason] = f"({ascii_lowercase[index] * (count + 1)})"
    return marks


def _reasons(table: PaperTable, lines: Sequence[Line], marks: Mapping[str, str]) -> list[str]:
    """A note per reason of missing figures."""
    notes = []
    absent = [line.label for line in lines if not line.system]
    for reason, mark in marks.items():
        wanted = [_example(row) for row in table.rows if row.label in absent and row.systems]
        hint = f"; the rows take {', '.join(dict.fromkeys(wanted))}" if reason == NO_SYSTEM else ""
        notes.append(f"{mark} {reason}{hint}.")
    return notes


def _example(row: PaperRow) -> str:
    """A system that belongs in a row: a system string, or the folder of a training."""
    first = row.systems[0]
    return first if "*" not in first else f"a training in a folder {first.split('/')[-2]}"


def _without_row(table: PaperTable, ours: Measured) -> list[str]:
    """Name the systems of the run, the timings and the listening test that belong in no row of the table."""
    others = [system for system in ours.systems if not any(row.stands_for(without_model(system)) for row in table.rows)]
    if not others:
        return []
    failed = [f"{system} (failed: {ours.failed[system]})" if system in ours.failed else system for system in others]
    return [f"In no row of this table: {', '.join(failed)}."]


def without_model(system: str) -> str:
    """A system string without the option lm."""
    return re.sub(r":lm(=[^:]*)?(?=:|$)", "", system)


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
        plain = without_model(system)
        if row.stands_for(plain):
            coded[plain] = coded.get(plain) or (system if system != plain else None)
    return [Variant(plain, with_model) for plain, with_model in coded.items()]
