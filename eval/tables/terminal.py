"""The table of a run on a terminal: as many metrics side by side as fit, the others below."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from earmark.eval.tables.layout import SPEED_MEANING, Cell, Layout
from earmark.eval.tables.numbers import factor_text, kbps_text, nominal_text


def print_table(table: TerminalTable) -> None:
    """Print on standard output, as wide as the terminal; 120 characters wide if it is no terminal."""
    try:
        "±".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:  # the stream would put the longer sign into the cell, and move the columns behind it
        table = replace(table, plus_minus="+/-")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def plain_text(table: TerminalTable) -> str:
    """The table as text, 120 characters wide."""
    file = io.StringIO()
    Console(file=file, width=120).print(table)
    return file.getvalue()


@dataclass(frozen=True)
class TerminalTable:
    """A table that rich can print: systems by category, notes, speeds. 100 characters hold four metrics.

    Args:
        plus_minus: sign before the half width of an interval.
    """

    layout: Layout
    plus_minus: str = "±"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        lead = self._grid([])
        room = options.max_width - console.measure(lead, options=options.update_width(1000)).maximum
        group: list[int] = []
        for index in range(len(self.layout.columns)):
            if group and sum(self._width(member) for member in [*group, index]) > room:
                yield self._grid(group)
                group = []
            group.append(index)
        yield self._grid(group)
        yield Text("\n".join(["", *self.layout.notes, ""]), style="dim")
        if self.layout.speeds:
            yield self._speeds()
            yield Text(f"\n{SPEED_MEANING}", style="dim")

    def _heading(self, index: int) -> str:
        metric = self.layout.columns[index]
        return "\n".join(filter(None, (f"{metric.name} {metric.arrow}".rstrip(), metric.mode, metric.unit)))

    def _width(self, index: int) -> int:
        """Width of a metric's column with the space before it."""
        cells = (self._lines(row.cells[index]) for section in self.layout.sections for row in section.rows)
        return 1 + max(len(line) for text in [self._heading(index), *cells] for line in text.splitlines())

    def _lines(self, cell: Cell) -> str:
        """A narrow cell: undefined and failed files are counted on lines of their own."""
        return "\n".join([cell.score.replace(" ± ", self.plus_minus), *cell.missing.split(", ")]).rstrip()

    def _grid(self, metrics: list[int]) -> Table:
        grid = _table()
        for heading in ("kbps\nnominal", "kbps\nmeasured"):
            grid.add_column(heading, justify="right", no_wrap=True)
        for index in metrics:
            grid.add_column(self._heading(index), justify="right", no_wrap=True)
        for section in self.layout.sections:
            grid.add_section()
            modes = (Text(section.modes.get(self.layout.columns[index].name, "")) for index in metrics)
            grid.add_row(Text(section.category, style="bold"), "", "", *modes)
            for row in section.rows:
                cells = (Text(self._lines(row.cells[index])) for index in metrics)
                grid.add_row(Text(f" {row.label}"), nominal_text(row.kbps_nominal), kbps_text(row.kbps), *cells)
        return grid

    def _speeds(self) -> Table:
        grid = _table()
        for heading in ("encode ×", "decode ×"):
            grid.add_column(heading, justify="right")
        for speed in self.layout.speeds:
            grid.add_row(Text(f" {speed.system}"), factor_text(speed.encode), factor_text(speed.decode))
        return grid


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("system", no_wrap=True)
    return table
