"""A table of long texts for the terminal, with wrapped cells, so that all columns fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

NARROWEST = 140  # characters; in a narrower table the cells would be columns of single words


def print_listing(headings: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str]) -> None:
    """Print rows of text under headings, then each note after a blank line."""
    names, *others = headings  # the first column is text to type, and does not wrap
    table = Table(
        Column(names, no_wrap=True), *(Column(name, overflow="fold") for name in others), box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    console.width = max(console.width, NARROWEST)
    console.print(table)
    for note in notes:
        console.print()
        console.print(Text(note), soft_wrap=True)
