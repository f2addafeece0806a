"""A titled grid of text with notes, rendered as terminal text, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earmark.eval.tables.folding import column_limit, fold
from earmark.eval.tables.latex import latex_document, latex_rows, latex_table


@dataclass(frozen=True)
class Grid:
    """Rows of text below headings.

    Args:
        rows: one cell per heading.
        notes: sentences below the grid.
        left: number of leading columns that are aligned left; the others, numbers, are aligned right.
        groups: title above each heading, the same for neighbours of one group and "" for none; () for no titles.
        data: records with every number in full, which CSV prints instead of the rows.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    left: int = 1
    data: tuple[Mapping[str, Any], ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def flat(self) -> tuple[str, ...]:
        """Headings prefixed with their group: "SI-SNR, paper"."""
        groups = self.groups or ("",) * len(self.headings)
        return tuple(f"{group}, {name}" if group else name for group, name in zip(groups, self.headings, strict=True))


def text(grid: Grid, width: int | None = None) -> str:
    """Render as wide as the content.

    If there is less room, the columns of numbers that do not fit follow below in further tables, and the left columns
    and the notes are wrapped.

    Args:
        width: most characters in a line; default: those of the terminal, and any number in a file or pipe.
    """
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    tables = [_text_table(grid, columns, width) for columns in _blocks(grid, width)]
    notes = [textwrap.fill(note, width, break_on_hyphens=False, break_long_words=False) for note in grid.notes]
    lines = [line for table in tables for line in [*table, ""]]
    return "\n".join([grid.title, "", *lines, *notes]).rstrip() + "\n"


def _text_table(grid: Grid, columns: Sequence[int], width: int) -> list[str]:
    """Lines of a table with the given columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    limit = _left_limit(grid, columns, width)
    for index in columns:
        if index < grid.left:
            table.add_column(Text(fold(grid.flat[index], limit)), overflow="fold")
        else:
            table.add_column(Text(grid.flat[index]), justify="right", no_wrap=True)
    for row in grid.rows:
        table.add_row(*(Text(fold(row[index], limit) if index < grid.left else row[index]) for index in columns))
    file = io.StringIO()
    Console(file=file, width=width).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def _blocks(grid: Grid, width: int) -> list[list[int]]:
    """Columns of each table: the left ones, and as many others as fit into `width` characters beside them.

    The left columns of a terminal that is too narrow may shrink to half of their width.
    """
    cells = [[heading, *(row[index] for row in grid.rows)] for index, heading in enumerate(grid.flat)]
    widths = [2 + max(map(cell_len, column)) for column in cells]
    left = list(range(grid.left))
    room = width - sum(widths[index] for index in left)
    numbers = range(grid.left, len(widths))
    if sum(widths[index] for index in numbers) <= width - sum(widths[index] for index in left) // 2:
        return [[*left, *numbers]]
    blocks: list[list[int]] = []
    for index in numbers:
        taken = sum(widths[member] for member in blocks[-1][grid.left :]) if blocks else 0
        if not blocks or taken + widths[index] > max(room, width // 2):
            blocks.append([*left])
        blocks[-1].append(index)
    return blocks


def _left_limit(grid: Grid, columns: Sequence[int], width: int) -> int:
    """The most characters of a left column with which a table of the given columns is at most `width` wide."""
    widths = {index: max(cell_len(row[index]) for row in (grid.flat, *grid.rows)) for index in columns}
    between = 2 * len(columns) - 1  # padding after each column, and a space between neighbours
    taken = sum(size for index, size in widths.items() if index >= grid.left)
    return column_limit([size for index, size in widths.items() if index < grid.left], width - between - taken)


def markdown(grid: Grid) -> str:
    """Render as a pipe table for GitHub and Pandoc, with the title above and the notes below."""
    table = markdown_table(grid.flat, grid.rows, grid.left)
    return "\n\n".join([f"**{markdown_escape(grid.title)}**", table, *map(markdown_escape, grid.notes)]) + "\n"


def latex(grid: Grid) -> str:
    """Render as a floating table with a label derived from the title, and the notes below."""
    return latex_document([
        latex_table(grid.title, grid.headings, [latex_rows(grid.rows)], grid.notes, left=grid.left, groups=grid.groups)
    ])  # fmt: skip


def _records(grid: Grid) -> Sequence[Mapping[str, Any]]:
    """The data, or headings and rows if there is none."""
    return grid.data or [dict(zip(grid.flat, row, strict=True)) for row in grid.rows]


def json_records(grid: Grid) -> str:
    """Render as a JSON list of records; NaN becomes null."""
    plain = [{name: None if value != value else value for name, value in record.items()} for record in _records(grid)]
    return json.dumps(plain, indent=1, ensure_ascii=False, default=_plain_number) + "\n"


def _plain_number(value: Any) -> int | float:
    """A NumPy scalar as a number of Python."""
    number: int | float = value.item()
    return number


def comma_separated(grid: Grid) -> str:
    """Render the data, or headings and rows if there is none; NaN becomes an empty cell."""
    records = _records(grid)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(records[0] if records else grid.flat)
    writer.writerows(["" if value != value else value for value in record.values()] for record in records)
    return file.getvalue()


RENDERERS: Mapping[str, Callable[[Grid], str]] = {
    "text": text, "markdown": markdown, "latex": latex, "csv": comma_separated,
    "json": json_records,
}  # fmt: skip


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A pipe table whose first `left` columns are aligned left, the others right."""
    first, *others = ([markdown_escape(cell) for cell in row] for row in (headings, *rows))
    rule = [":--" if index < left else "--:" for index in range(len(first))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (first, rule, *others))


def markdown_escape(text: str) -> str:
    """Escape text for Markdown; underscores inside words are harmless and stay unescaped."""
    return re.sub(r"[\\|*`<\[]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", " ".join(text.split()))
