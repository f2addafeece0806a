"""The result of a run in sentences: which system leads at which bit rate, by how much, and how significantly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from earmark.codec.text import counted
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.statistics.differences import LEVEL, Difference, lowest_p
from earmark.eval.statistics.rates import axis_kbps, tested
from earmark.eval.statistics.scales import decimals_of, lower_is_better
from earmark.eval.tables.numbers import p_statement

MOST_CLAUSES = 4  # that a page shows unfolded
SAME_RATE = 1.1  # ratio up to which two measured bit rates count as equal


@dataclass(frozen=True)
class Lead:
    """A system that no other at its bit rate or below surpasses.

    Args:
        kbps: measured bit rate, or for audio decoded elsewhere the stated one.
        rival: the best other system at that bit rate or below; None if there is none.
        gap: by how much the leader is better than its rival.
    """

    system: str
    kbps: float
    mean: float
    rival: str | None
    gap: float


def leads(summary: pd.DataFrame, metric: str, category: str) -> list[Lead]:
    """Find the leading systems, by rising bit rate.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
    """
    sign = -1.0 if lower_is_better(metric) else 1.0
    chosen = summary[(summary["metric"] == metric) & (summary["category"] == category) & (summary["n"] > 0)]
    chosen = tested(chosen).assign(rate=axis_kbps).dropna(subset="rate").sort_values("rate", kind="stable")
    points = [(str(row["system"]), float(row["rate"]), float(row["mean"])) for row in chosen.to_dict("records")]
    result = []
    for system, kbps, mean in points:
        others = [(sign * value, name) for name, rate, value in points if rate <= SAME_RATE * kbps and name != system]
        best, rival = max(others, default=(-math.inf, None))
        if sign * mean > best:
            result.append(Lead(system, kbps, mean, rival, sign * mean - best))
    return result


@dataclass(frozen=True)
class Headline:
    """The result in one category.

    Args:
        category: its name, "all files" for all together.
        first, last: the leading systems at the lowest and the highest bit rate, with scores and bit rates.
        clauses: one per leading system, by rising bit rate.
        significance: a sentence on how many pairs differ.
    """

    category: str
    first: str
    last: str
    clauses: tuple[str, ...]
    significance: str

    @property
    def is_long(self) -> bool:
        """Whether a page had better fold the clauses."""
        return len(self.clauses) > MOST_CLAUSES

    @property
    def text(self) -> str:
        """All clauses in one sentence."""
        return f"{self.category}: {'; '.join(self.clauses)}. {self.significance}"

    @property
    def short(self) -> str:
        """The two ends in one sentence."""
        return f"{self.category}: from {self.first} to {self.last}. {self.significance}"


def headlines(summary: pd.DataFrame, pairs: Sequence[Difference], metric: str) -> list[Headline]:
    """Describe leaders and significant differences in each category; [] if no codec has a score.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        pairs: from `earmark.eval.statistics.differences.differences`, by `metric`.
    """
    decimals = decimals_of(summary.loc[summary["metric"] == metric, "mean"])
    result = []
    for category in dict.fromkeys(pair.category for pair in pairs):
        members = [pair for pair in pairs if pair.category == category]
        leaders = leads(summary, metric, category)
        if leaders:
            ends = [f"{lead.system} ({lead.mean:.{decimals}f}) at {lead.kbps:.1f} kbps" for lead in leaders]
            clauses = tuple(
                f"{lead.system} ({lead.mean:.{decimals}f}) up to {lead.kbps:.1f} kbps{_margin(lead, members)}"
                for lead in leaders
            )
            name = "all files" if category == ALL else category
            result.append(Headline(name, ends[0], ends[-1], clauses, _significance(members)))
    return result


def _margin(lead: Lead, pairs: Sequence[Difference]) -> str:
    if lead.rival is None:
        return ""
    pair = next(one for one in pairs if {one.a, one.b} == {lead.system, lead.rival})
    margin = f", {lead.gap:.{pair.decimals}f} ahead of {lead.rival}"
    if lowest_p(pairs) >= LEVEL:
        return margin
    return f"{margin} ({'significant' if pair.significant else f'not significant, {p_statement(pair.p_holm)}'})"


def _significance(pairs: Sequence[Difference]) -> str:
    if lowest_p(pairs) >= LEVEL:
        return "Too few files for significance."
    count = sum(one.significant for one in pairs)
    return f"Of {counted(len(pairs), 'pair')} of systems {count} {'differs' if count == 1 else 'differ'} significantly."
