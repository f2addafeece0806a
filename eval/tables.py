"""The table of a run as terminal text, Markdown, LaTeX or CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from codec.files import write_text
from eval.table_layout import SPEED_MEANING, Layout, factor_text, kbps_text, lay_out, nominal_text
from eval.terminal_table import TerminalTable


def terminal_table(summary: pd.DataFrame, info: Mapping[str, Any]) -> TerminalTable:
    """For a rich console of any width.

    Args:
        summary: from `eval.aggregate.summarise`.
        info: content of run.json.
    """
    return TerminalTable(_lay_out(summary, info))


def _lay_out(summary: pd.DataFrame, info: Mapping[str, Any]) -> Layout:
    return lay_out(summary, info["speech_categories"])


def csv(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """For programs: one row per system, category and metric with every number in full, empty where there is none."""
    return summary.to_csv(index=False, lineterminator="\n")


def markdown(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """Pipe tables as GitHub and Pandoc read them, with the notes below."""
    layout = _lay_out(summary, info)
    headings, sections = _scores_grid(layout)
    rows = [[category, *row] for category, block in sections for row in block]
    parts = [_pipe_table(["Category", *headings], rows, 2), *map(_markdown_escape, layout.notes)]
    if layout.speeds:
        parts += [_pipe_table(*_speed_grid(layout), 1), _markdown_escape(SPEED_MEANING)]
    return "\n\n".join(parts) + "\n"


def _pipe_table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """The first `left` columns are aligned left, the others right."""
    first, *others = ([_markdown_escape(text) for text in row] for row in (headings, *rows))
    rule = [":--" if index < left else "--:" for index in range(len(first))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (first, rule, *others))


def _markdown_escape(text: str) -> str:
    """Underscores inside words mean nothing in Markdown and stay as they are."""
    return re.sub(r"[\\|*`<\[]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", " ".join(text.split()))


def latex(summary: pd.DataFrame, info: Mapping[str, Any]) -> str:
    """A table environment for the package booktabs, a block per category, and one for the speeds."""
    layout = _lay_out(summary, info)
    headings, sections = _scores_grid(layout)
    blocks = [
        [rf"\multicolumn{{{len(headings)}}}{{l}}{{\textit{{{_latex_escape(category)}}}}} \\", *_latex_rows(rows)]
        for category, rows in sections
    ]
    tables = [_latex_table(headings, blocks, " ".join(layout.notes))]
    if layout.speeds:
        headings, rows = _speed_grid(layout)
        tables.append(_latex_table(headings, [_latex_rows(rows)], SPEED_MEANING))
    return "% needs \\usepackage{booktabs}\n" + "\n".join(tables)


def _latex_table(headings: Sequence[str], blocks: Sequence[Sequence[str]], caption: str) -> str:
    body = "\n\\midrule\n".join("\n".join(lines) for lines in [_latex_rows([headings]), *blocks])
    columns = "l" + "r" * (len(headings) - 1)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{_latex_escape(caption)}}}\n\\begin{{tabular}}{{{columns}}}\n"
        f"\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _latex_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    return [" & ".join(_latex_escape(text) for text in row) + r" \\" for row in rows]


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "×": r"$\times$", "–": "--", "†": r"\dag{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip


def _latex_escape(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"^-(?=\d)", "$-$", escaped)


def _scores_grid(layout: Layout) -> tuple[list[str], list[tuple[str, list[list[str]]]]]:
    """Headings, and (category, rows of text) for each section."""
    headings = ["System", "kbps requested", "kbps measured", *(metric.heading for metric in layout.columns)]
    sections = []
    for section in layout.sections:
        lines = [
            [row.system, nominal_text(row.kbps_nominal), kbps_text(row.kbps), *(cell.text for cell in row.cells)]
            for row in section.rows
        ]
        sections.append((section.category, lines))
    return headings, sections


def _speed_grid(layout: Layout) -> tuple[list[str], list[list[str]]]:
    headings = ["System", "Encoding, times real time", "Decoding, times real time"]
    return headings, [[speed.system, factor_text(speed.encode), factor_text(speed.decode)] for speed in layout.speeds]


RENDERERS: Mapping[str, Callable[[pd.DataFrame, Mapping[str, Any]], str]] = {
    "markdown": markdown, "latex": latex, "csv": csv,
}  # fmt: skip


def write_all(summary: pd.DataFrame, info: Mapping[str, Any], folder: Path) -> None:
    """Write table.md, table.tex and table.csv into `folder`.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    for name, render in (("table.md", markdown), ("table.tex", latex), ("table.csv", csv)):
        write_text(folder / name, render(summary, info))
