"""A part of a run's scores, and the significance of its differences from one system, for the table."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import pandas as pd

from earmark.codec.suggestions import choose
from earmark.eval.statistics.differences import LEVEL, Difference, differences, lowest_p, metrics_of
from earmark.eval.statistics.macro import MACRO

STAR = "*"


def part(
    scores: pd.DataFrame,
    systems: Iterable[str] | None = None,
    metrics: Iterable[str] | None = None,
    categories: Iterable[str] | None = None,
) -> pd.DataFrame:
    """The rows of some systems, metrics and categories; None stands for all.

    Raises:
        UserError: the run does not have one of them, or has none in common.
    """
    rows = scores
    for column, option, names in (
        ("system", "--systems", systems), ("metric", "--metrics", metrics), ("category", "--category", categories),
    ):  # fmt: skip
        if names is not None:
            there = [str(name) for name in rows[column].unique()]
            rows = rows[rows[column].isin([choose(name, there, option=option) for name in names])]
    return rows


def with_significance(
    summary: pd.DataFrame, scores: pd.DataFrame, against: str, speech_categories: Collection[str] = ()
) -> pd.DataFrame:
    """Add the columns against, difference, p and lowest_p to the mean scores.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`, with or without macro-averages.
        scores: the rows that it summarises.
        against: the system that the others are compared with.
        speech_categories: categories that a metric with modes scored in speech mode.

    Returns:
        The table, with the mean difference over the recordings that both systems have, and p as in
        `earmark.eval.statistics.differences.Difference.p_holm`: corrected over the systems of each category. Both are
        NaN where there is no test. lowest_p is what p could be at best with so many recordings and systems
        (`earmark.eval.statistics.differences.lowest_p`).

    Raises:
        UserError: there is no such system.
    """
    against = choose(against, scores["system"].unique(), option="--against", where="this table")
    tested: dict[tuple[str, str, str], Difference] = {}
    lowest: dict[tuple[str, str], float] = {}
    macro = MACRO in set(summary["category"])
    for metric in metrics_of(scores):
        if against in set(scores.loc[(scores["metric"] == metric) & (scores["status"] == "ok"), "system"]):
            pairs = differences(scores, metric, against, speech_categories, macro=macro)
            tested |= {(pair.a, pair.category, metric): pair for pair in pairs}
            for category in {pair.category for pair in pairs}:
                lowest[category, metric] = lowest_p([pair for pair in pairs if pair.category == category])
    keys = list(zip(summary["system"], summary["category"], summary["metric"], strict=True))
    found = [tested.get(key) for key in keys]
    return summary.assign(
        against=against,
        difference=[math.nan if pair is None else pair.mean for pair in found],
        p=[math.nan if pair is None else pair.p_holm for pair in found],
        lowest_p=[math.nan if pair is None else lowest[pair.category, pair.metric] for pair in found],
    )


def is_significant(row: object) -> bool:
    """Whether a row of the table differs significantly from the chosen system; False if none was chosen."""
    return bool(getattr(row, "p", math.nan) < LEVEL)


def significance_note(summary: pd.DataFrame) -> list[str]:
    """Explain the star; [] if no system was chosen."""
    if "against" not in summary:
        return []
    against = summary["against"].dropna().iloc[0]
    few = summary.loc[summary["lowest_p"] >= LEVEL, "category"].unique()
    return [
        f"{STAR} The mean difference from {against}, over the recordings of both, is significant: bootstrap-t "
        f"test, p < {LEVEL:g} after Holm's correction over the systems of each category.",
        *([f"{', '.join(few)}: too few files for significance, whatever the scores."] if len(few) else []),
    ]
