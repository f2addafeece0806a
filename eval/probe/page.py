"""The page of a probe: a heading, one line per property, advice below it, and a summary."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from earmark.codec.text import counted
from earmark.eval.probe.finding import Finding
from earmark.eval.probe.session import Session
from earmark.eval.tables.grid import Grid

MARKS = {"ok": " ", "note": "*", "fault": "!"}


def title(session: Session) -> str:
    own = session.own
    channels = "mono" if own.channels == 1 else f"{own.channels} channels"
    return f"Probe of {session.system}, {own.sample_rate / 1000:g} kHz {channels}"


def summary(found: Sequence[Finding]) -> str:
    """How many findings need attention."""
    faults, notes = (sum(one.verdict == verdict for one in found) for verdict in ("fault", "note"))
    if not faults and not notes:
        return "Nothing to mend."
    return f"{counted(faults, 'fault')} (!), {counted(notes, 'note')} (*)."


def text_page(session: Session, found: Sequence[Finding], width: int) -> str:
    """The page for a terminal of `width` columns."""
    lines = [title(session), ""]
    column = 2 + max(len(one.name) for one in found) + 2
    for one in found:
        head = f"{MARKS[one.verdict]} {one.name}".ljust(column)
        lines += textwrap.wrap(one.measured, width, initial_indent=head, subsequent_indent=" " * column)
        if one.advice:
            indent = " " * (column + 2)
            lines += textwrap.wrap(one.advice, width, initial_indent=indent, subsequent_indent=indent)
    return "\n".join([*lines, "", summary(found)]) + "\n"


def grid(session: Session, found: Sequence[Finding], *, values: bool) -> Grid:
    """The page as a table; `values` adds every number in full, which differ in kind from property to property."""
    rows = tuple((one.name, one.measured, one.verdict, one.advice) for one in found)
    records = tuple(
        {"property": one.name, "measured": one.measured, "verdict": one.verdict, "advice": one.advice, **one.values}
        for one in found
    )
    return Grid(
        title(session),
        ("Property", "Measured", "Verdict", "Advice"),
        rows,
        (summary(found),),
        4,
        records if values else (),
    )
