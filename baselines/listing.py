"""A table of long texts for the terminal, with wrapped cells, so that all columns fit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

FULL = 140  # characters; in a narrower table all columns would hold single words


def print_listing(
    headings: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str], *, narrow: Sequence[str]
) -> None:  # fmt: skip
    """Print rows of text under headings, then each note after a blank line.

    Args:
        narrow: headings of the columns that a narrow terminal shows.
    """
    console = Console()
    if console.is_terminal and console.width < FULL:
        shown = [headings.index(name) for name in narrow]
        headings, rows = narrow, [[row[index] for index in shown] for row in rows]
    else:
        console.width = max(console.width, FULL)
    names, *others = headings  # the first column is text to type, and does not wrap
    table = Table(
        Column(names, no_wrap=True), *(Column(name, overflow="fold") for name in others), box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for note in notes:
        console.print()
        lines = textwrap.wrap(note, console.width, break_on_hyphens=False, break_long_words=False)
        console.print(Text("\n".join(lines)) if console.is_terminal else Text(note), soft_wrap=True)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one pair per line, with long values wrapped."""
    table = Table(Column(no_wrap=True), Column(overflow="fold"), box=None, pad_edge=False, show_header=False)
    for name, value in facts.items():
        table.add_row(Text(name), Text(value))
    Console().print(table)
