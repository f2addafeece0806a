"""A finding: what was measured of one property, how good it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One line of the page.

    Args:
        name: the property.
        measured: for people.
        verdict: "fault" if scores would be wrong or could not be repeated, "note" if a reader of scores should know.
        advice: what it means and what to do.
        values: the numbers in full.
    """

    name: str
    measured: str
    verdict: Verdict
    advice: str
    values: dict[str, Any] = field(default_factory=dict)
