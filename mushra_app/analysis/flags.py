"""Flags: signs of an unusual listener, for the experimenter to look at. Only screening drops listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from earmark.codec.text import counted
from earmark.mushra_app.analysis.reliability import agreement
from earmark.mushra_app.ratings.screening import bs1534_outliers
from earmark.mushra_app.ratings.table import Ratings

TRIAL = ["listener", "item"]
QUICK_SHARE = 1 / 3  # of the typical listener's time
LEAST_AGREEMENT = 0.5


@dataclass(frozen=True)
class Flag:
    """A sign of an unusual listener.

    Args:
        text: what such listeners do, to follow "flags mark listeners who".
        judge: function that returns the evidence per listener, "" if there is none or nothing to judge by.
    """

    text: str
    judge: Callable[[Ratings], pd.Series[str]]


def quick(ratings: Ratings) -> pd.Series[str]:
    """Listeners whose median time per trial is less than a third of the median listener's."""
    if "seconds" not in ratings.frame:
        return _nothing(ratings)
    median = trial_seconds(ratings.frame)
    typical = median.median()
    is_quick = median < QUICK_SHARE * typical
    return _where(is_quick, [f"{own:.0f} s per trial (median: {typical:.0f} s)" for own in median])


def incomplete(ratings: Ratings) -> pd.Series[str]:
    """Listeners who rated less than half as many items as the median listener, or left conditions unrated."""
    frame = ratings.frame
    trials = frame.groupby(TRIAL).size().rename("rated").reset_index()
    offered = frame.groupby("item")["condition"].nunique()
    lacking = trials["rated"] < trials["item"].map(offered)
    partly = lacking.groupby(trials["listener"]).sum()
    items = trials.groupby("listener").size()
    typical = items.median()
    few = _where(2 * items < typical, [f"{counted(own, 'item')} (median: {typical:g})" for own in items])
    gaps = _where(
        partly > 0,
        [f"{own} of {counted(all_, 'trial')} lack a condition" for own, all_ in zip(partly, items, strict=True)],
    )
    return few + (few.ne("") & gaps.ne("")).map({True: ", ", False: ""}) + gaps


def flat(ratings: Ratings) -> pd.Series[str]:
    """Listeners who gave all conditions of a trial the same score in more than half of their trials."""
    by_trial = ratings.frame.groupby(TRIAL)["score"]
    same = (by_trial.max() == by_trial.min())[by_trial.size() > 1].groupby(level="listener").agg(["sum", "count"])
    mostly = 2 * same["sum"] > same["count"]
    return _where(
        mostly,
        [f"one score for all conditions in {hit} of {counted(n, 'trial')}" for hit, n in same.itertuples(index=False)],
    )


def outlying(ratings: Ratings) -> pd.Series[str]:
    """Listeners who rate systems far from the others; see `earmark.mushra_app.ratings.screening.bs1534_outliers`."""
    judged = bs1534_outliers(ratings.with_role("system"))
    return judged["evidence"].where(judged["violated"], "")


def disagreeing(ratings: Ratings) -> pd.Series[str]:
    """Listeners whose scores correlate with the mean of the others' by less than 0.5, unless the median does."""
    correlation = agreement(ratings.frame)
    typical = correlation.median()
    disagrees = (correlation < LEAST_AGREEMENT) & (typical >= LEAST_AGREEMENT)
    return _where(
        disagrees, [f"correlation of {own:.2f} with the others (median: {typical:.2f})" for own in correlation]
    )


def no_headphones(ratings: Ratings) -> pd.Series[str]:
    """Listeners who failed the headphone check of a study that flags them instead of turning them away."""
    if ratings.checks is None:
        return _nothing(ratings)
    failed = ratings.checks[(ratings.checks["check"] == "headphones") & ~ratings.checks["passed"]]
    return ("headphone check " + failed["evidence"]).groupby(failed["listener"]).agg("; ".join)


def implausible(ratings: Ratings) -> pd.Series[str]:
    """Listeners whose session contradicts what the server saw; see `earmark.mushra_app.database.timing`."""
    if ratings.checks is None:
        return _nothing(ratings)
    failed = ratings.checks[(ratings.checks["check"] == "timing") & ~ratings.checks["passed"]]
    return failed.groupby("listener")["evidence"].agg("; ".join)


def unheard(ratings: Ratings) -> pd.Series[str]:
    """Listeners who heard a stimulus that they rated for less than `least_heard` seconds, as their browser says."""
    if "heard_seconds" not in ratings.frame:
        return _nothing(ratings)
    seconds = ratings.frame["heard_seconds"].groupby(ratings.frame["listener"])
    few, known = seconds.agg(lambda one: (one < ratings.least_heard).sum()).astype(int), seconds.count()
    return _where(
        few > 0,
        [f"heard {own} of {all_} rated stimuli for less than {ratings.least_heard:g} s"
         for own, all_ in zip(few, known, strict=True)],
    )  # fmt: skip


FLAGS: tuple[Flag, ...] = (
    Flag("needed less than a third of the median listener's time per trial", quick),
    Flag("rated less than half as many items as the median listener, or left conditions unrated", incomplete),
    Flag("gave all conditions the same score in more than half of the trials", flat),
    Flag("rated systems more than 1.5 interquartile ranges outside the quartiles of all listeners in more than 15 % of "
         "cases", outlying),
    Flag("failed the headphone check", no_headphones),
    Flag("were faster than the sounds last, rated sounds that they never fetched, or claim more time than passed",
         implausible),
    Flag("heard a stimulus that they rated for less time than the study asks for (least_heard)", unheard),
    Flag(f"have scores that correlate with the mean of the others' by less than {LEAST_AGREEMENT}", disagreeing),
)  # fmt: skip


def flag(ratings: Ratings) -> pd.Series[str]:
    """Evidence of all flags per listener, separated by "; "; "" for a listener without flags."""
    flags = _nothing(ratings)
    for sign in FLAGS:
        evidence = sign.judge(ratings).reindex(flags.index).fillna("")
        flags = flags + (flags.ne("") & evidence.ne("")).map({True: "; ", False: ""}) + evidence
    return flags.rename("flags")


def trial_seconds(frame: pd.DataFrame) -> pd.Series[float]:
    """Median time per trial of each listener; every rating of a trial holds the trial's time."""
    return frame.groupby(TRIAL)["seconds"].first().groupby(level="listener").median()


def _nothing(ratings: Ratings) -> pd.Series[str]:
    """Empty evidence for every listener."""
    return pd.Series("", index=pd.Index(sorted(ratings.frame["listener"].unique()), name="listener"), dtype="str")


def _where(flagged: pd.Series[bool], evidence: list[str]) -> pd.Series[str]:
    """Evidence of the flagged listeners, "" for the others."""
    return pd.Series(evidence, index=flagged.index, dtype="str").where(flagged, "")
