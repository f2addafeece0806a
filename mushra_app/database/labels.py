"""Names of listeners in tables and reports: "L0007", numbered in the order in which they came."""

from __future__ import annotations


def listener_label(listener_id: int) -> str:
    """Name of the listener with this database id: 7 -> "L0007"."""
    return f"L{listener_id:04d}"


def listener_id(label: str) -> int:
    """Database id of the listener with this name: "L0007" -> 7."""
    return int(label.removeprefix("L"))
