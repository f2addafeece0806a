"""Folding of long names in narrow columns, at the places where they have a seam."""

from __future__ import annotations

import re
from collections.abc import Sequence

LEAST = 8  # characters of a column, however narrow the terminal
_SEAM = re.compile(r"(?=[@:])|(?<=[-/_,=\s])")  # opus|@12|:dtx, two-|part


def fold(text: str, width: int) -> str:
    """The text in lines of at most `width` characters, broken at seams, and elsewhere only where a part is too long."""
    lines = [""]
    for part in filter(None, _SEAM.split(text)):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.rstrip() for line in lines)


def column_limit(widths: Sequence[int], room: int) -> int:
    """The most characters of a column with which columns of these widths fit into `room`; at least `LEAST`."""
    for limit in range(max(widths, default=LEAST), LEAST, -1):
        if sum(min(width, limit) for width in widths) <= room:
            return limit
    return LEAST
