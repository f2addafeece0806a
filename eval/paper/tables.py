"""A run laid out like a table of the EnCodec paper (arXiv 2210.13438), our figures beside the published ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.paper.conditions import DOUBLE_DAGGER, condition_note, other_weights, weights_note
from earmark.eval.paper.figures import FIGURES, PCM_BITS, Figure, Measured, Variant, figure, mushra_figures, pcm_kbps
from earmark.eval.paper.published_tables import PaperColumn, PaperRow, PaperTable, published
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import lay_out

PAPER_NOTE = (
    "“paper” is what arXiv 2210.13438 has; “ours” is this run's, over all its files, and empty where a system was not "
    "run."
)
COMPRESSION_NOTE = f"Compression: bit rate of {PCM_BITS}-bit PCM over the measured one, without entropy coding."
MUSHRA_NOTE = "MUSHRA: mean ± half width of its 95 % confidence interval over ratings."
SPEED_NOTE = "Real-time factor: audio duration over processing time, bigger is faster; "


def lay_out_like(
    name: str,
    summary: pd.DataFrame,
    info: Mapping[str, Any],
    study: pd.DataFrame | None = None,
    bench: Mapping[str, Mapping[str, Any]] | None = None,
    metrics: Collection[str] = (),
) -> Grid:
    """The run's systems in the paper's rows, a line for each system that stands for one.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        info: content of run.json.
        study: from `earmark.eval.paper.sources.read_study`.
        bench: from `earmark.eval.paper.sources.read_bench`; real-time factors are the run's own where it is None.
        metrics: of the run, to stand beside those that the table has.

    Returns:
        With data: a record for each figure of each line, model, system, weights (where they are not the paper's),
        figure, paper, value, low, high, n; low and high are the 95 % confidence interval, of a real-time factor the
        quartiles.

    Raises:
        UserError: there is no such table, or the run has no such metric.
    """
    if unknown := [metric for metric in metrics if metric not in set(summary["metric"])]:
        raise UserError(f"--metrics {unknown[0]}: not in this run; it has {', '.join(summary['metric'].unique())}")
    table = published(name)
    layout = lay_out(summary, info["speech_categories"])
    overall = layout.sections[-1]
    ours = Measured(
        layout.columns, {row.system: row for row in overall.rows}, {one.system: one for one in layout.speeds},
        pcm_kbps(info), mushra_figures(study), bench or {},
    )  # fmt: skip
    figures = {column.figure for column in table.columns}
    extra = _extra_columns(table, ours, metrics)
    headings = [("", "Model"), ("", "System")]
    for column in table.columns:
        headings += [(column.heading, whose) for whose in _whose(column)]
    headings += [("", column.heading) for column in extra]
    lines = _lines(table, ours, extra)
    notes = [PAPER_NOTE, *table.notes]
    notes += filter(None, (weights_note(line.system for line in lines), condition_note(table.condition, info)))
    if "compression" in figures:
        notes.append(COMPRESSION_NOTE)
    if any("_rtf" in figure for figure in figures):
        notes.append(SPEED_NOTE + ("median and quartiles of `earmark bench`." if bench else "timed during this run."))
    if ours.mushra:
        notes.append(MUSHRA_NOTE)
    scored = summary[summary["metric"].isin({*figures, *metrics})]
    if len(scored):
        notes += lay_out(scored, info["speech_categories"]).notes
    groups, names = zip(*headings, strict=True)
    return Grid(
        table.title, names, tuple(line.text for line in lines), tuple(notes), left=2,
        data=tuple(record for line in lines for record in line.records), groups=groups,
    )  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A row of the paper with one of our systems.

    Args:
        is_first: of its row, so that what is the paper's is printed here.
        system: "" where none stands for the row.
        cells: column, what the paper has there (None where it has no such column), what we have.
    """

    label: str
    is_first: bool
    system: str
    cells: tuple[tuple[PaperColumn, str | None, Figure], ...]

    @property
    def text(self) -> tuple[str, ...]:
        marked = f"{self.system} {DOUBLE_DAGGER}" if other_weights(self.system) is not None else self.system
        found = [self.label if self.is_first else "", marked]
        for column, printed, ours in self.cells:
            texts = {"paper": (printed or "") if self.is_first else "", "ours": ours.text}
            found += [ours.text] if printed is None else [texts[whose] for whose in _whose(column)]
        return tuple(found)

    @property
    def records(self) -> list[dict[str, Any]]:
        about = {"model": self.label, "system": self.system, "weights": other_weights(self.system) or ""}
        return [
            {**about, "figure": column.heading, "paper": printed or "", "value": ours.value, "low": ours.low,
             "high": ours.high, "n": ours.n}
            for column, printed, ours in self.cells
        ]  # fmt: skip


def _whose(column: PaperColumn) -> tuple[str, ...]:
    return ("paper", "ours") if column.figure in FIGURES else ("paper",)


def _lines(table: PaperTable, ours: Measured, extra: Sequence[PaperColumn]) -> list[Line]:
    columns = [*table.columns, *extra]
    lines = []
    for row in table.rows:
        printed = [*row.paper, *[None] * len(extra)]
        for place, variant in enumerate(_variants(row, ours) or [None]):
            found = [figure(ours, variant, column) for column in columns]
            system = variant.plain if variant else ""
            lines.append(Line(row.label, place == 0, system, tuple(zip(columns, printed, found, strict=True))))
    return lines


def _extra_columns(table: PaperTable, ours: Measured, metrics: Collection[str]) -> list[PaperColumn]:
    """What stands beyond the paper's columns: the metrics asked for, and other categories of the listening test."""
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
    found: dict[str, str | None] = {}
    for system in ours.systems:
        plain = re.sub(r":lm(=[^:]*)?(?=:|$)", "", system)
        if row.stands_for(plain):
            found[plain] = found.get(plain) or (system if system != plain else None)
    return [Variant(plain, coded) for plain, coded in found.items()]
