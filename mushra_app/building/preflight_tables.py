"""What the pre-flight check says, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from earmark.mushra_app.building.bs1534 import Point
from earmark.mushra_app.building.preflight import Preflight

LOOKS = {"ok": ("ok", "green"), "warn": ("look", "yellow"), "fail": ("FAIL", "bold red")}
KEPT = {"yes": ("yes", "green"), "no": ("no", "yellow"), "yours": ("yours", "dim")}


def findings_table(preflight: Preflight) -> Table:
    """A row per check."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("check")
    table.add_column("")
    table.add_column("found", overflow="fold")
    for finding in preflight.findings:
        word, style = LOOKS[finding.status]
        table.add_row(finding.check, Text(word, style=style), Text(finding.evidence))  # Text: no markup in names
    return table


def points_table(points: Iterable[Point]) -> Table:
    """A row per point of BS.1534-3; "yours" is what no program can see to."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="ITU-R BS.1534-3", title_justify="left")
    table.add_column("clause")
    table.add_column("asks for", overflow="fold")
    table.add_column("kept")
    table.add_column("here", overflow="fold")
    for point in points:
        word, style = KEPT[point.kept]
        table.add_row(point.clause, point.asks, Text(word, style=style), Text(point.evidence))
    return table
