"""A table of long texts on a terminal: cells wrap, so that all columns are seen at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

NARROWEST = 140  # characters; narrower, the columns would be read from top to bottom


def print_listing(headings: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str]) -> None:
    """Print rows of text below headings, and then each note on lines of its own."""
    names, *others = headings  # what is to be typed stays whole
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
