"""The recordings that a report plays: some of each category, and those on which a codec does worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from earmark.eval.statistics.differences import outliers
from earmark.eval.statistics.rates import tested
from earmark.eval.statistics.scales import lower_is_better

MOST = 9  # recordings spread over the categories
MOST_PER_CATEGORY = 3
MOST_WORST = 6  # recordings on which some codec does worst
PERCEPTUAL = ("visqol", "visqol_audio", "visqol_speech")
OUTLIER = "outlier"
RANKS = ("worst", "middle", "best", "", OUTLIER)  # in the order of the page


@dataclass(frozen=True)
class Choice:
    """A recording that the report plays.

    Args:
        rank: "worst", "middle" or "best" in its category by its mean score over all systems, "" if it is the only one;
            "outlier" if it was chosen only because some system falls behind on it.
        behind: systems that fall farthest behind their median on this recording.
        best: of an outlier, the system with the best score; None if that is among `behind`.
    """

    file: str
    category: str
    rank: str
    behind: tuple[str, ...] = ()
    best: str | None = None

    def plays(self, system: str) -> bool:
        """Whether the report plays a system: of an outlier those that fall behind and the best, otherwise all."""
        return self.rank != OUTLIER or system in (*self.behind, self.best)


def headline_metric(scores: pd.DataFrame) -> str | None:
    """The metric that sums up a run: ViSQOL if the run has it, otherwise its first metric with a score.

    SI-SNR, which often comes first, means little for a codec that does not preserve the waveform.
    """
    scored = set(scores.loc[scores["status"] == "ok", "metric"])
    return next((str(name) for name in (*PERCEPTUAL, *scores["metric"].unique()) if name in scored), None)


def choose(scores: pd.DataFrame, metric: str | None) -> list[Choice]:
    """Choose recordings over the range of a metric: per category the worst, the best and the middle one.

    Returns:
        At most `MOST` recordings, the most informative first: one of each category before a second of any.
    """
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
    """Indices into `count` sorted recordings with their ranks, in order of importance."""
    if count == 1:
        return [(0, "")]
    return [(0, "worst"), (count - 1, "best"), (count // 2, "middle")][:count]


def outlying(scores: pd.DataFrame, metric: str | None) -> list[Choice]:
    """Choose for each codec the recording on which it falls farthest behind its own median by a metric.

    Returns:
        At most `MOST_WORST` recordings, the largest gap first. A recording on which several codecs do so occurs once.
    """
    coded = tested(scores)
    if metric not in set(coded["metric"]):
        return []
    assert metric is not None
    behind: dict[tuple[str, str], list[str]] = {}
    for row in outliers(coded, metric, 1).to_dict("records"):
        behind.setdefault((str(row["file"]), str(row["category"])), []).append(str(row["system"]))
    choices = []
    for (file, category), systems in list(behind.items())[:MOST_WORST]:
        values = coded[(coded["file"] == file) & (coded["metric"] == metric)].set_index("system")["value"]
        best = str(values.idxmin() if lower_is_better(metric) else values.idxmax())
        choices.append(Choice(file, category, OUTLIER, tuple(systems), None if best in systems else best))
    return choices


def choices(scores: pd.DataFrame, metric: str | None) -> list[Choice]:
    """All recordings that the report plays, the most informative first: one of each category, outliers, the others.

    A recording that is chosen for both reasons occurs once, with both reasons.

    Args:
        scores: rows of RUN/scores.parquet.
        metric: the metric by which they are chosen; None, if no metric has a score, chooses nothing.
    """
    outliers_left = {choice.file: choice for choice in outlying(scores, metric)}
    spread = [
        replace(choice, behind=outliers_left.pop(choice.file).behind) if choice.file in outliers_left else choice
        for choice in choose(scores, metric)
    ]
    first = sum(choice.rank in ("worst", "") for choice in spread)
    return [*spread[:first], *outliers_left.values(), *spread[first:]]
