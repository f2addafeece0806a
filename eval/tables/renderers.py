"""The table of a run, rendered as terminal text, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.files import write_text
from earmark.eval.tables.domain import remarked
from earmark.eval.tables.grid import markdown_escape, markdown_table
from earmark.eval.tables.latex import latex_document, latex_escape, latex_rows, latex_table
from earmark.eval.tables.layout import SPEED_MEANING, Layout, lay_out
from earmark.eval.tables.numbers import factor_text, kbps_text, nominal_text
from earmark.eval.tables.published import unmarked
from earmark.eval.tables.terminal import TerminalTable


def terminal_table(summary: pd.DataFrame, info: Mapping[str, Any]) -> TerminalTable:
    """Render for a rich console of any width.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        info: content of run.json.
    """
    return TerminalTable(_lay_out(summary, info))


def _lay_out(summary: pd.DataFrame, info: Mapping[str, Any]) -> Layout:
    return lay_out(summary, info["speech_categories"])


def csv(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """Render one row per system, category and metric, with every number in full and missing ones empty."""
    return remarked(unmarked(summary), info["speech_categories"]).to_csv(index=False, lineterminator="\n")


def markdown(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """Render as pipe tables for GitHub and Pandoc, with the notes below."""
    layout = _lay_out(summary, info)
    headings, sections = _scores_grid(layout)
    rows = [[category, *row] for category, block in sections for row in block]
    parts = [markdown_table(["Category", *headings], rows, 2), *map(markdown_escape, layout.notes)]
    if layout.speeds:
        parts += [markdown_table(*_speed_grid(layout), 1), markdown_escape(SPEED_MEANING)]
    return "\n\n".join(parts) + "\n"


def latex(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """Render as a floating table with a block per category, and one for the speeds."""
    layout = _lay_out(summary, info)
    headings, sections = _scores_grid(layout)
    blocks = [
        [rf"\multicolumn{{{len(headings)}}}{{l}}{{\textit{{{latex_escape(category)}}}}} \\", *latex_rows(rows)]
        for category, rows in sections
    ]
    tables = [latex_table("Scores", headings, blocks, layout.notes)]
    if layout.speeds:
        headings, rows = _speed_grid(layout)
        tables.append(latex_table("Speed", headings, [latex_rows(rows)], [SPEED_MEANING]))
    return latex_document(tables)


def _scores_grid(layout: Layout) -> tuple[list[str], list[tuple[str, list[list[str]]]]]:
    """Headings, and (category, rows of text) for each section."""
    headings = ["System", "kbps nominal", "kbps measured", *(metric.heading for metric in layout.columns)]
    sections = []
    for section in layout.sections:
        lines = [
            [row.label, nominal_text(row.kbps_nominal), kbps_text(row.kbps), *(cell.text for cell in row.cells)]
            for row in section.rows
        ]
        sections.append((section.label, lines))
    return headings, sections


def _speed_grid(layout: Layout) -> tuple[list[str], list[list[str]]]:
    headings = ["System", "Encoding, times real time", "Decoding, times real time"]
    return headings, [[speed.system, factor_text(speed.encode), factor_text(speed.decode)] for speed in layout.speeds]


def json_records(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """Render as a JSON list with a record per system, category and metric, every number in full; NaN is null."""
    rows = remarked(unmarked(summary), info["speech_categories"])
    return json.dumps(json.loads(rows.to_json(orient="records", double_precision=15)), indent=1) + "\n"


RENDERERS: Mapping[str, Callable[[pd.DataFrame, Mapping[str, Any]], str]] = {
    "markdown": markdown, "latex": latex, "csv": csv, "json": json_records,
}  # fmt: skip


def write_all(summary: pd.DataFrame, info: Mapping[str, Any], folder: Path) -> None:
    """Write table.md, table.tex and table.csv into `folder`.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    for name, render in (("table.md", markdown), ("table.tex", latex), ("table.csv", csv)):
        write_text(folder / name, render(summary, info))
