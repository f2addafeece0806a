"""Pre-flight results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from earmark.codec.text import printable
from earmark.mushra_app.building.bs1534 import Point
from earmark.mushra_app.building.preflight import Preflight

STATUS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}
MET = {"yes": ("yes", "green"), "no": ("no", "yellow"), "experimenter": ("up to you", "dim")}


def findings_table(preflight: Preflight) -> Table:
    """Table of the checks, one row per check."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("check")
    table.add_column("")
    table.add_column("result", overflow="fold")
    for finding in preflight.findings:
        word, style = STATUS[finding.status]
        # Text, because names may look like rich markup.
        table.add_row(finding.check, Text(word, style=style), Text(printable(finding.evidence)))
    return table


def points_table(points: Iterable[Point]) -> Table:
    """Table of the points of BS.1534-3; "up to you" marks what no program can check."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="ITU-R BS.1534-3", title_justify="left")
    table.add_column("clause")
    table.add_column("requires", overflow="fold")
    table.add_column("met")
    table.add_column("this study", overflow="fold")
    for point in points:
        word, style = MET[point.met]
        table.add_row(point.clause, point.requirement, Text(word, style=style), Text(printable(point.evidence)))
    return table
