"""Which recordings a report lets one hear: some of each category, and those on which a codec does worst."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from eval.differences import outliers

MOST = 9  # recordings spread over the categories
MOST_PER_CATEGORY = 3
MOST_WORST = 6  # recordings on which some codec does worst
WORST = "worst"
RANKS = ("lowest", "middle", "highest", "", WORST)  # in the order of the page


@dataclass(frozen=True)
class Choice:
    """A recording to be heard.

    Args:
        rank: where it stands in its category by its mean score over all systems, "" if it is the only one; "worst" if
            it was chosen for what `systems` do to it.
        systems: those that fall farthest behind their median here; none where all are to be heard.
    """

    file: str
    category: str
    rank: str
    systems: tuple[str, ...] = ()


def ranking_metric(scores: pd.DataFrame) -> str | None:
    """The metric by which recordings are chosen: the run's first that has any score, None if none has."""
    scored = set(scores.loc[scores["status"] == "ok", "metric"])
    return next((str(metric) for metric in scores["metric"].unique() if metric in scored), None)


def choose(scores: pd.DataFrame) -> list[Choice]:
    """Recordings spread over the range of the ranking metric: per category the lowest, the highest, the middle one.

    Returns:
        At most `MOST`, the most telling first: one of each category before a second of any.
    """
    ranked = scores[(scores["metric"] == ranking_metric(scores)) & (scores["status"] == "ok")]
    means = ranked.groupby(["category", "file"], sort=False)["value"].mean().reset_index()
    rounds: list[list[Choice]] = [[] for _ in range(MOST_PER_CATEGORY)]
    for category in means["category"].unique():
        files = means[means["category"] == category].sort_values(["value", "file"])["file"].tolist()
        for round_, (index, rank) in zip(rounds, _spread(len(files)), strict=False):
            round_.append(Choice(files[index], str(category), rank))
    return [choice for round_ in rounds for choice in round_][:MOST]


def _spread(count: int) -> list[tuple[int, str]]:
    """Indices into `count` sorted recordings with the word for each, in order of importance."""
    if count == 1:
        return [(0, "")]
    return [(0, "lowest"), (count - 1, "highest"), (count // 2, "middle")][:count]


def worst(scores: pd.DataFrame) -> list[Choice]:
    """For each codec the recording on which it falls farthest behind its own median, at most `MOST_WORST` recordings.

    One on which several codecs do so stands once, for all of them; what falls less comes last.
    """
    coded = scores[scores["kbps"].notna()]
    metric = ranking_metric(coded)
    if metric is None:
        return []
    found: dict[tuple[str, str], list[str]] = {}
    for row in outliers(coded, metric, 1).to_dict("records"):
        if row["gap"] != 0:
            found.setdefault((str(row["file"]), str(row["category"])), []).append(str(row["system"]))
    return [Choice(file, category, WORST, tuple(systems)) for (file, category), systems in found.items()][:MOST_WORST]
