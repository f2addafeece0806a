"""Differences between many systems as a matrix: a row and a column per system, the best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from earmark.eval.statistics.differences import Difference
from earmark.eval.statistics.scales import lower_is_better
from earmark.eval.tables.difference_grids import interval_text
from earmark.eval.tables.numbers import DASH, p_statement, signed

MOST_LISTED = 6  # systems whose 15 pairs are a list; more make a matrix


@dataclass(frozen=True)
class MatrixCell:
    """The system of the row against that of the column.

    Args:
        text: mean difference, "" on the diagonal.
        detail: interval, number of files, wins and p in words.
        tone: "better" or "worse" if the difference is significant, otherwise "".
    """

    text: str
    detail: str
    tone: str


@dataclass(frozen=True)
class Matrix:
    """All pairs of systems in one category by one metric; the rows have a cell per system, in the same order."""

    category: str
    systems: tuple[str, ...]
    rows: tuple[tuple[MatrixCell, ...], ...]


def matrices(pairs: Sequence[Difference]) -> list[Matrix]:
    """One matrix per category; [] if the systems are so few that a list shows more.

    Args:
        pairs: from `earmark.eval.statistics.differences.differences`, all by one metric.
    """
    if len({name for pair in pairs for name in (pair.a, pair.b)}) <= MOST_LISTED:
        return []
    categories = dict.fromkeys(pair.category for pair in pairs)
    return [_matrix(name, [pair for pair in pairs if pair.category == name]) for name in categories]


def _matrix(category: str, pairs: Sequence[Difference]) -> Matrix:
    both = {(one.a, one.b): one for pair in pairs for one in (pair, _turned(pair))}
    systems = _best_first(both)
    return Matrix(
        category, systems,
        tuple(tuple(_cell(both.get((row, column))) for column in systems) for row in systems),
    )  # fmt: skip


def _turned(pair: Difference) -> Difference:
    """The same comparison seen from the second system."""
    return replace(
        pair, a=pair.b, b=pair.a, mean=-pair.mean, ci95_low=-pair.ci95_high, ci95_high=-pair.ci95_low,
        win_rate=1 - pair.win_rate, median=-pair.median,
    )  # fmt: skip


def _best_first(both: dict[tuple[str, str], Difference]) -> tuple[str, ...]:
    """Systems by falling mean difference to all others; those without any common file last."""
    gaps: dict[str, list[float]] = {}
    for (a, _), pair in both.items():
        gap = -pair.mean if lower_is_better(pair.metric) else pair.mean
        gaps.setdefault(a, []).extend([] if math.isnan(gap) else [gap])
    means = {name: sum(each) / len(each) if each else -math.inf for name, each in gaps.items()}
    return tuple(sorted(means, key=lambda name: -means[name]))


def _cell(pair: Difference | None) -> MatrixCell:
    if pair is None:
        return MatrixCell("", "", "")
    interval = f"{text}, " if (text := interval_text(pair)) != DASH else ""
    wins = f", wins {100 * pair.win_rate:.0f} %" if pair.n else ""
    ahead = (pair.mean < 0) == lower_is_better(pair.metric)
    return MatrixCell(
        signed(pair.mean, pair.decimals),
        f"{pair.a} − {pair.b}: {interval}n = {pair.n}{wins}, {p_statement(pair.p_holm)}",
        ("better" if ahead else "worse") if pair.significant else "",
    )
