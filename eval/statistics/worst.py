"""The worst recordings of one system: by score, or by loss against another system."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean
from earmark.eval.comparison.run_folder import REFERENCE
from earmark.eval.statistics.scales import lower_is_better, modes_of


@dataclass(frozen=True)
class Worst:
    """The worst recordings of one system.

    Args:
        system, metric, against: what was ranked, by what, and the other system or None.
        rows: a row per recording, the worst first. Columns file, category, value, kbps, gap (value minus the median of
            the system and category), and with `against` other (its score) and difference (value minus other).
        ranked_by: the column that ranks: value, gap or difference.
    """

    system: str
    metric: str
    against: str | None
    rows: pd.DataFrame
    ranked_by: str


def worst(
    scores: pd.DataFrame,
    system: str,
    metric: str,
    count: int,
    against: str | None = None,
    speech_categories: Collection[str] = (),
) -> Worst:
    """The recordings with the worst scores of a system, the worst first.

    A metric on two scales, such as ViSQOL over speech and music, ranks by the gap to the median of the category
    instead, since its scores cannot be compared.

    Args:
        scores: rows of RUN/scores.parquet.
        count: number of recordings at most.
        against: rank by the loss against this system instead.
        speech_categories: categories that a metric with modes scored in speech mode.

    Raises:
        UserError: the run has no such system or metric, or the system has no score by it.
    """
    named = (("--system", system, "system"), ("--against", against, "system"), ("--metrics", metric, "metric"))
    for option, name, column in named:
        if name is not None and name not in set(scores[column]):
            known = [str(one) for one in scores[column].unique()]
            raise UserError(f"{option} {name}: not in this run; it has {', '.join(known)}{did_you_mean(name, known)}")
    scored = scores[(scores["metric"] == metric) & (scores["status"] == "ok")]
    ours = scored[scored["system"] == system][["file", "category", "value", "kbps"]].copy()
    if ours.empty:
        raise UserError(f"--metrics {metric}: {system} has no score by it; choose another metric")
    ours["gap"] = ours["value"] - ours.groupby("category")["value"].transform("median")
    order = "gap" if len(modes_of(metric, list(ours["category"].unique()), speech_categories)) > 1 else "value"
    if against is not None:
        theirs = scored[scored["system"] == against].set_index("file")["value"]
        ours["other"] = ours["file"].map(theirs)
        ours["difference"] = ours["value"] - ours["other"]
        ours, order = ours[ours["other"].notna()], "difference"
        if ours.empty:
            raise UserError(f"--against {against}: has no score by {metric} for the same recordings")
    ascending = [not lower_is_better(metric), True]
    rows = ours.sort_values([order, "file"], ascending=ascending).head(count).reset_index(drop=True)
    return Worst(system, metric, against, rows, order)


def only_system(scores: pd.DataFrame) -> str:
    """The system of a run that has one, apart from the reference.

    Raises:
        UserError: it has several.
    """
    systems = [str(name) for name in scores["system"].unique() if name != REFERENCE]
    if len(systems) != 1:
        raise UserError(f"--system: name one of {', '.join(systems)}")
    return systems[0]
