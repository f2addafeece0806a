"""Which 95 % intervals and tests a report leads with: for these items, or as in the EnCodec paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from earmark.codec.errors import UserError


@dataclass(frozen=True)
class Intervals:
    """Columns of the result tables that a report shows, in this order.

    Args:
        lead, second: prefixes of the columns of the leading interval and of the one beside it.
        headings: of these two in tables.
        others: further intervals of means: prefix -> heading.
        difference: columns of a pair's difference and of the prefixes of its intervals with their corrected p values.
        family: conditions tested together: "systems" or "all".
    """

    lead: str
    second: str
    headings: tuple[str, str]
    others: Mapping[str, str]
    difference: str
    tests: Mapping[str, str]
    family: str

    @property
    def shown(self) -> dict[str, str]:
        """All intervals of means: prefix -> heading."""
        return {self.lead: self.headings[0], self.second: self.headings[1], **self.others}


INTERVALS: Mapping[str, Intervals] = {
    "listeners": Intervals(
        "boot95", "crossed95", ("for these items", "for other items too"),
        {"ci95": "over ratings (EnCodec paper)"}, "difference",
        {"boot95": "p", "crossed95": "p_crossed"}, "systems",
    ),
    "paper": Intervals(
        "ci95", "boot95", ("over ratings (EnCodec paper)", "over listeners"), {},
        "listener_difference", {"ci95": "p_wilcoxon"}, "all",
    ),
}  # fmt: skip


def find(name: str) -> Intervals:
    """The intervals of this name.

    Raises:
        UserError: there are no such intervals.
    """
    if name not in INTERVALS:
        raise UserError(f"--intervals {name}: no such intervals; there are {', '.join(INTERVALS)}")
    return INTERVALS[name]
