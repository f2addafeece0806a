"""A gate for nightly builds: whether systems have become worse, judged by paired differences over recordings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from earmark.codec.text import counted
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.statistics.differences import LEVEL, Difference, differences, lowest_p
from earmark.eval.statistics.scales import lower_is_better, modes_of

Verdict = Literal["passed", "regression", "missing"]
NAMED = 3  # recordings that a reason names


@dataclass(frozen=True)
class Check:
    """One system by one metric, over all recordings whose scores share a scale.

    Args:
        scope: "all", or for a metric on two scales "speech mode" or "audio mode".
        margin: loss that is tolerated, in the metric's unit.
        difference: new scores minus old ones; None if the check could not be made.
        reason: why the check could not be made, or "".
    """

    metric: str
    system: str
    scope: str
    margin: float
    difference: Difference | None
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """ "regression" if the mean loss is above the margin and the two-sided p, bootstrap-t, is below 0.05.

        p is not corrected for the number of checks: with many checks, a gate that corrects it misses losses.
        """
        if self.difference is None:
            return "missing"
        sign = 1.0 if lower_is_better(self.metric) else -1.0
        loss = sign * self.difference.mean
        return "regression" if loss > self.margin and self.difference.p < LEVEL else "passed"


def check(
    new: pd.DataFrame,
    old: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    margins: Mapping[str, float],
    speech_categories: Collection[str] = (),
    clusters: Mapping[str, str] | None = None,
) -> list[Check]:
    """Compare systems with their earlier state, or with others, by each metric.

    Args:
        new, old: rows of RUN/scores.parquet of two comparable runs, or twice those of one.
        pairs: (system of `new`, system of `old` that it must not fall behind).
        margins: metric -> loss that is tolerated, in its unit.
        speech_categories: categories that a metric with modes scored in speech mode.
        clusters: recording -> group, for recordings that are not independent, e.g. those of one talker.

    Returns:
        The checks by metric, in the order of `margins`. One is "missing" if a metric or a system is missing, if a
        recording has a score in `old` and none in `new`, or if no loss could be significant with so few recordings.
    """
    result: list[Check] = []
    for metric, margin in margins.items():
        for candidate, baseline in pairs:
            ours = new[(new["system"] == candidate) & (new["metric"] == metric)]
            theirs = old[(old["system"] == baseline) & (old["metric"] == metric)]
            reason = _lacking(ours, theirs, metric, candidate, baseline)
            if reason:
                result.append(Check(metric, candidate, ALL, margin, None, reason))
            else:
                result += _compare(ours, theirs, metric, candidate, margin, speech_categories, clusters)
    return result


def _lacking(ours: pd.DataFrame, theirs: pd.DataFrame, metric: str, candidate: str, baseline: str) -> str:
    """Why two systems cannot be compared by a metric, or ""."""
    if ours.empty:
        return f"the run has no {metric} of {candidate}"
    if theirs.empty:
        return f"there is no {metric} of {baseline} to compare with"
    scored = set(theirs.loc[theirs["status"] == "ok", "file"])
    if not scored:
        return f"no recording has a score of {baseline} to compare with"
    reasons = dict(zip(ours["file"], ours["reason"], strict=True))
    have = set(ours.loc[ours["status"] == "ok", "file"])
    lost = [f"{file} ({reasons.get(file) or 'absent'})" for file in theirs["file"] if file in scored - have]
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return f"without a score that the other has: {', '.join(lost[:NAMED])}{more}" if lost else ""


def _compare(
    ours: pd.DataFrame, theirs: pd.DataFrame, metric: str, system: str, margin: float, speech: Collection[str],
    clusters: Mapping[str, str] | None,
) -> Iterator[Check]:  # fmt: skip
    """One check per scale of the metric."""
    modes = modes_of(metric, list(theirs["category"].unique()), speech)
    scopes = {f"{mode} mode": members for mode, members in modes.items()} if len(modes) > 1 else {}
    for scope, members in (scopes or {ALL: tuple(theirs["category"].unique())}).items():
        both = pd.concat([ours.assign(system="new"), theirs.assign(system="old")])
        both = both[both["category"].isin(members)].assign(category=ALL)
        if both.loc[both["system"] == "old", "status"].ne("ok").all():
            continue
        (difference,) = differences(both, metric, against="old", clusters=clusters)
        if lowest_p([difference]) >= LEVEL:
            least = f"p is at least {lowest_p([difference]):.3g}"
            units = counted(difference.n, "recording") if clusters is None else counted(difference.clusters, "group")
            reason = f"no loss can be significant with {units}: {least}"
            yield Check(metric, system, scope, margin, None, reason)
        else:
            yield Check(metric, system, scope, margin, difference)


def passed(checks: Sequence[Check]) -> bool:
    """Whether every check was made and none found a regression."""
    return bool(checks) and all(one.verdict == "passed" for one in checks)
