"""The points of Figure 3 of the EnCodec paper (arXiv 2210.13438): MUSHRA against bandwidth.

The figure prints no numbers. Its systems are those of Table 1, whose scores in four categories, with intervals and bit
rates with and without entropy coding, are the points here. The point over all categories is the mean of the four, and
has no interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from earmark.eval.paper.published_tables import PaperColumn, PaperRow, published
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.numbers import DASH

SOURCE = "Table 1 of arXiv 2210.13438"


@dataclass(frozen=True)
class PaperPoint:
    """A published score.

    Args:
        label: row of the paper, e.g. "EnCodec, 3 kbps".
        series: codec as a system string names it, e.g. "encodec_24khz".
        kbps, coded_kbps: bit rate without and with entropy coding; the latter NaN if there is none.
        mean, low, high: score and its 95 % interval; NaN if it has none.
    """

    label: str
    series: str
    kbps: float
    coded_kbps: float
    mean: float
    low: float
    high: float


def points(category: str = ALL) -> list[PaperPoint]:
    """The published points of a category; [] if the paper has no such category.

    Args:
        category: "all", or a category of the paper or of a run that stands for it, e.g. "clean speech" or "speech".
    """
    table = published("table1")
    columns = [index for index, column in enumerate(table.columns) if _is_of(column, category)]
    rates = {column.figure: index for index, column in enumerate(table.columns)}
    made = []
    for row in table.rows if columns else ():
        kbps = _number(row.paper[rates["kbps"]])
        if math.isfinite(kbps):
            scores = [_score(row.paper[index]) for index in columns]
            made.append(
                PaperPoint(row.label, _series(row), kbps, _number(row.paper[rates["entropy_coded"]]), *_mean(scores))
            )
    return made


def categories() -> list[str]:
    """The paper's categories, in lower case."""
    return [column.categories[0] for column in published("table1").columns if column.categories]


def _is_of(column: PaperColumn, category: str) -> bool:
    if column.figure != "mushra":
        return False
    return category == ALL or category.lower().replace("_", " ") in column.categories


def _series(row: PaperRow) -> str:
    return row.systems[0].partition("@")[0]


def _number(text: str) -> float:
    return math.nan if text == DASH else float(text)


def _score(text: str) -> tuple[float, float]:
    """Mean and half width of "49.2 ± 2.4"."""
    mean, half_width = re.split(r"\s*±\s*", text)
    return float(mean), float(half_width)


def _mean(scores: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    mean = sum(score for score, _ in scores) / len(scores)
    half_width = scores[0][1] if len(scores) == 1 else math.nan
    return mean, mean - half_width, mean + half_width
