"""Which recordings a report lets one hear: some of each category, and those on which a codec does worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from earmark.eval.statistics.differences import outliers
from earmark.eval.statistics.scales import lower_is_better

MOST = 9  # recordings spread over the categories
MOST_PER_CATEGORY = 3
MOST_WORST = 6  # recordings on which some codec does worst
OUTLIER = "outlier"
RANKS = ("worst", "middle", "best", "", OUTLIER)  # in the order of the page


@dataclass(frozen=True)
class Choice:
    """A recording to be heard.

    Args:
        rank: where it stands in its category by its mean score over all systems, "" if it is the only one; "outlier"
            if it was chosen for what systems do to it alone.
        behind: systems that fall farthest behind their median here.
        best: of an outlier, the system that does best here; None where it is among them.
    """

    file: str
    category: str
    rank: str
    behind: tuple[str, ...] = ()
    best: str | None = None

    def is_heard(self, system: str) -> bool:
        """Of an outlier the systems that fall behind and the best; otherwise all."""
        return self.rank != OUTLIER or system in (*self.behind, self.best)


def ranking_metric(scores: pd.DataFrame) -> str | None:
    """The metric by which recordings are chosen: the run's first that has any score, None if none has."""
    scored = set(scores.loc[scores["status"] == "ok", "metric"])
    return next((str(metric) for metric in scores["metric"].unique() if metric in scored), None)


def choose(scores: pd.DataFrame) -> list[Choice]:
    """Recordings spread over the range of the ranking metric: per category the worst, the best, the middle one.

    Returns:
        At most `MOST`, the most telling first: one of each category before a second of any.
    """
    metric = ranking_metric(scores)
    ranked = scores[(scores["metric"] == metric) & (scores["status"] == "ok")]
    worst_first = [metric is None or not lower_is_better(metric), True]
    means = ranked.groupby(["category", "file"], sort=False)["value"].mean().reset_index()
    rounds: list[list[Choice]] = [[] for _ in range(MOST_PER_CATEGORY)]
    for category in means["category"].unique():
        files = (
            means[means["category"] == category].sort_values(["value", "file"], ascending=worst_first)["file"].tolist()
        )
        for round_, (index, rank) in zip(rounds, _spread(len(files)), strict=False):
            round_.append(Choice(files[index], str(category), rank))
    return [choice for round_ in rounds for choice in round_][:MOST]


def _spread(count: int) -> list[tuple[int, str]]:
    """Indices into `count` sorted recordings with the word for each, in order of importance."""
    if count == 1:
        return [(0, "")]
    return [(0, "worst"), (count - 1, "best"), (count // 2, "middle")][:count]


def outlying(scores: pd.DataFrame) -> list[Choice]:
    """For each codec the recording on which it falls farthest behind its own median, at most `MOST_WORST` recordings.

    One on which several codecs do so stands once, for all of them; what falls less comes last.
    """
    coded = scores[scores["kbps"].notna()]
    metric = ranking_metric(coded)
    if metric is None:
        return []
    found: dict[tuple[str, str], list[str]] = {}
    for row in outliers(coded, metric, 1).to_dict("records"):
        found.setdefault((str(row["file"]), str(row["category"])), []).append(str(row["system"]))
    choices = []
    for (file, category), systems in list(found.items())[:MOST_WORST]:
        values = coded[(coded["file"] == file) & (coded["metric"] == metric)].set_index("system")["value"]
        best = str(values.idxmin() if lower_is_better(metric) else values.idxmax())
        choices.append(Choice(file, category, OUTLIER, tuple(systems), None if best in systems else best))
    return choices


def choices(scores: pd.DataFrame) -> list[Choice]:
    """All that are to be heard, the most telling first: one of each category, the outliers, the others.

    A recording that is chosen for both reasons stands once and says both.
    """
    outside = {choice.file: choice for choice in outlying(scores)}
    spread = [
        replace(choice, behind=outside.pop(choice.file).behind) if choice.file in outside else choice
        for choice in choose(scores)
    ]
    first = sum(choice.rank in ("worst", "") for choice in spread)
    return [*spread[:first], *outside.values(), *spread[first:]]
