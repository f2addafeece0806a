"""What is odd about a listener: signs to look at, none of which drops anybody (screening does, by published rules)."""

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
    """ "Flagged are listeners who ...": the sign and the function that looks for it.

    `judge` answers, per listener, the evidence as text, "" where there is nothing odd or nothing to judge by.
    """

    text: str
    judge: Callable[[Ratings], pd.Series[str]]


def quick(ratings: Ratings) -> pd.Series[str]:
    """Took less than a third of the typical listener's time for a trial, median against median."""
    if "seconds" not in ratings.frame:
        return _nothing(ratings)
    median = trial_seconds(ratings.frame)
    typical = median.median()
    hasty = median < QUICK_SHARE * typical
    return _where(hasty, [f"{own:.0f} s for a trial, where {typical:.0f} s are typical" for own in median])


def incomplete(ratings: Ratings) -> pd.Series[str]:
    """Rated less than half as many items as the typical listener, or left conditions of a trial unrated."""
    frame = ratings.frame
    trials = frame.groupby(TRIAL).size().rename("rated").reset_index()
    offered = frame.groupby("item")["condition"].nunique()
    lacking = trials["rated"] < trials["item"].map(offered)
    partly = lacking.groupby(trials["listener"]).sum()
    items = trials.groupby("listener").size()
    typical = items.median()
    few = _where(2 * items < typical, [f"{counted(own, 'item')}, where {typical:g} are typical" for own in items])
    gaps = _where(
        partly > 0,
        [f"{own} of {counted(all_, 'trial')} lack a condition" for own, all_ in zip(partly, items, strict=True)],
    )
    return few + (few.ne("") & gaps.ne("")).map({True: ", ", False: ""}) + gaps


def flat(ratings: Ratings) -> pd.Series[str]:
    """Gave all conditions of a trial one and the same score, in more than half of the trials."""
    by_trial = ratings.frame.groupby(TRIAL)["score"]
    same = (by_trial.max() == by_trial.min())[by_trial.size() > 1].groupby(level="listener").agg(["sum", "count"])
    much = 2 * same["sum"] > same["count"]
    return _where(
        much,
        [f"one score for all conditions in {hit} of {counted(n, 'trial')}" for hit, n in same.itertuples(index=False)],
    )


def outlying(ratings: Ratings) -> pd.Series[str]:
    """Rates systems far from everybody else: see `earmark.mushra_app.ratings.screening.bs1534_outliers`."""
    found = bs1534_outliers(ratings.with_role("system"))
    return found["evidence"].where(found["violated"], "")


def disagreeing(ratings: Ratings) -> pd.Series[str]:
    """Scores correlate with the mean of the others' by less than 0.5, where the typical listener's do by more."""
    correlation = agreement(ratings.frame)
    typical = correlation.median()
    odd = (correlation < LEAST_AGREEMENT) & (typical >= LEAST_AGREEMENT)
    return _where(
        odd, [f"correlation of {own:.2f} with the others, where {typical:.2f} is typical" for own in correlation]
    )


def no_headphones(ratings: Ratings) -> pd.Series[str]:
    """Failed the headphone check of a study that flags rather than turns away; see mushra_app/headphone_check.py."""
    if ratings.checks is None:
        return _nothing(ratings)
    failed = ratings.checks[(ratings.checks["check"] == "headphones") & ~ratings.checks["passed"]]
    return ("headphone check " + failed["evidence"]).groupby(failed["listener"]).agg("; ".join)


FLAGS: tuple[Flag, ...] = (
    Flag("took less than a third of the typical listener's time for a trial", quick),
    Flag("rated less than half as many items as is typical, or left conditions unrated", incomplete),
    Flag("gave all conditions one and the same score in more than half of the trials", flat),
    Flag("rated systems more than 1.5 interquartile ranges outside everybody's quartiles in more than 15 % of cases",
         outlying),
    Flag("did not pass the headphone check", no_headphones),
    Flag(f"agree with the mean of the others by a correlation of less than {LEAST_AGREEMENT}", disagreeing),
)  # fmt: skip


def flag(ratings: Ratings) -> pd.Series[str]:
    """All signs of each listener, "; " between them; "" for most."""
    said = _nothing(ratings)
    for sign in FLAGS:
        found = sign.judge(ratings).reindex(said.index).fillna("")
        said = said + (said.ne("") & found.ne("")).map({True: "; ", False: ""}) + found
    return said.rename("flags")


def trial_seconds(frame: pd.DataFrame) -> pd.Series[float]:
    """Median time that each listener spent on a trial; the tools store the same time with every rating of it."""
    return frame.groupby(TRIAL)["seconds"].first().groupby(level="listener").median()


def _nothing(ratings: Ratings) -> pd.Series[str]:
    return pd.Series("", index=pd.Index(sorted(ratings.frame["listener"].unique()), name="listener"), dtype="str")


def _where(odd: pd.Series[bool], evidence: list[str]) -> pd.Series[str]:
    return pd.Series(evidence, index=odd.index, dtype="str").where(odd, "")
