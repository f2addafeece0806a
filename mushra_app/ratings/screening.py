"""Post-screening: rules that decide which listeners' ratings count, with the evidence for every exclusion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.study.pages import ATTENTION
from earmark.mushra_app.study.study import Role

# Judges ratings of one role's conditions (listener, item, score); returns per listener violated (bool) and evidence.
Judge = Callable[[pd.DataFrame], pd.DataFrame]
Counts = Any  # an integer, or a series of integers
TooMany = Callable[[Counts, Counts], Any]  # (hits, ratings) -> whether too many; integers, so that thresholds are exact


def at_least_20_percent(hits: Counts, n: Counts) -> Any:
    return 100 * hits >= 20 * n


def more_than_15_percent(hits: Counts, n: Counts) -> Any:
    return 100 * hits > 15 * n


def more_than_50_percent(hits: Counts, n: Counts) -> Any:
    return 100 * hits > 50 * n


@dataclass(frozen=True)
class Clause:
    """One reason to drop a listener.

    Args:
        text: what such listeners do, to follow "drops listeners who".
        role: role of the conditions that the clause looks at.
        judge: function that finds these listeners.
        too_many: whether a number of hits among a listener's ratings of this role is too many.
        compares: whether the verdict depends on the ratings of other listeners.
    """

    text: str
    role: Role
    judge: Judge
    too_many: TooMany
    compares: bool = False


@dataclass(frozen=True)
class Rule:
    """Clauses applied together, and their publication."""

    title: str
    source: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True)
class Screening:
    """Result of a rule.

    Args:
        rule: the rule.
        kept: ratings of the listeners who were kept.
        listeners: one row per listener: listener, kept (bool), reason (why dropped, or ""), evidence (every count
            considered), n (ratings).
        applied: clauses that were applied.
        skipped: one sentence for each clause that could not be applied.
    """

    rule: Rule
    kept: pd.DataFrame
    listeners: pd.DataFrame
    applied: tuple[Clause, ...]
    skipped: tuple[str, ...]

    @property
    def dropped(self) -> pd.DataFrame:
        """Rows of `listeners` for those who were dropped."""
        return self.listeners[~self.listeners["kept"]]


def paper_hidden_reference(ratings: pd.DataFrame) -> pd.DataFrame:
    """arXiv 2210.13438, section 4.3: rate the reference recordings below 90 in at least 20 % of the cases."""
    return _share(ratings, ratings["score"] < 90, "hidden reference below 90", at_least_20_percent)


def paper_low_anchor(ratings: pd.DataFrame) -> pd.DataFrame:
    """arXiv 2210.13438, section 4.3: rate the low-anchor recordings above 80 more than 50 % of the time."""
    return _share(ratings, ratings["score"] > 80, "low anchor above 80", more_than_50_percent)


def bs1534_hidden_reference(ratings: pd.DataFrame) -> pd.DataFrame:
    """ITU-R BS.1534-3, 4.1.2: rate the hidden reference lower than 90 for more than 15 % of the test items."""
    return _share(ratings, ratings["score"] < 90, "hidden reference below 90", more_than_15_percent)


def bs1534_mid_anchor(ratings: pd.DataFrame) -> pd.DataFrame:
    """ITU-R BS.1534-3, 4.1.2: rate the mid anchor higher than 90 for more than 15 % of the test items.

    An item does not count if more than 25 % of the listeners rate its mid anchor above 90, since the anchor hardly
    degraded it.
    """
    high = ratings["score"] > 90
    by_item = high.groupby(ratings["item"]).agg(["sum", "count"])
    exempt = by_item.index[4 * by_item["sum"] > by_item["count"]]
    counting = ~ratings["item"].isin(exempt)
    result = _share(ratings[counting], high[counting], "mid anchor above 90", more_than_15_percent)
    if len(exempt):
        result["evidence"] += f"; items not counted because more than 25 % of the listeners do so: {len(exempt)}"
    return result


def bs1534_outliers(ratings: pd.DataFrame) -> pd.DataFrame:
    """Earmark's addition: outliers in more than 15 % of the ratings, 1.5 interquartile ranges outside the quartiles.

    ITU-R BS.1534-3, 4.1.2, defines these outliers, but asks only to examine why they were given; it drops no listener
    for them. The limit is that of its other criteria. Quartiles are those of the same item in the same condition, if at
    least four listeners rated it, interpolated linearly; those of the Recommendation, medians of the lower and upper
    half, lie a little further out for an even number of listeners. Where the range is zero no rating is an outlier:
    most listeners agree to the point, and any other score would be one.
    """
    outside = outside_quartiles(ratings)
    return _share(
        ratings.loc[outside.index],
        outside,
        "system outside 1.5 interquartile ranges",
        more_than_15_percent,
    )


def outside_quartiles(ratings: pd.DataFrame) -> pd.Series[bool]:
    """Whether each rating is an outlier of its item and condition, for those that four listeners or more rated."""
    by_cell = ratings.groupby(["item", "condition"])["score"]
    quartiles = by_cell.quantile(0.25).to_frame("q1").assign(q3=by_cell.quantile(0.75), count=by_cell.size())
    cells = pd.MultiIndex.from_frame(ratings[["item", "condition"]])
    own = quartiles.reindex(cells).set_index(ratings.index)
    reach = 1.5 * (own["q3"] - own["q1"])
    outside = (ratings["score"] < own["q1"] - reach) | (ratings["score"] > own["q3"] + reach)
    return (outside & (reach > 0))[own["count"] >= 4]


def missed_attention_checks(checks: pd.DataFrame) -> pd.DataFrame:
    """Listeners who missed an attention check; a single one is enough (see `mushra_app.database.attention`).

    Args:
        checks: listener, check, passed, evidence.

    Returns:
        Per listener: reason (the checks missed, or "") and evidence (all checks).
    """
    attention = checks[checks["check"].isin(ATTENTION)]
    by_listener = attention["evidence"].groupby(attention["listener"]).agg("; ".join)
    missed = attention[~attention["passed"]]
    reason = missed["evidence"].groupby(missed["listener"]).agg("; ".join).reindex(by_listener.index).fillna("")
    reason = ("missed an attention check: " + reason).where(reason != "", "")
    return pd.DataFrame({"reason": reason, "evidence": by_listener})


_BS1534 = (
    Clause("rate the hidden reference below 90 for more than 15 % of the items", "hidden reference",
           bs1534_hidden_reference, more_than_15_percent),
    Clause("rate the mid anchor above 90 for more than 15 % of the items, not counting items where more than 25 % of "
           "the listeners do so", "mid anchor", bs1534_mid_anchor, more_than_15_percent, compares=True),
)  # fmt: skip

RULES: dict[str, Rule] = {
    "paper": Rule(
        "the rule of the EnCodec paper",
        "Défossez et al. 2022, arXiv 2210.13438, section 4.3",
        (
            Clause("rate the hidden reference below 90 in at least 20 % of cases", "hidden reference",
                   paper_hidden_reference, at_least_20_percent),
            Clause("rate the low anchor above 80 in more than 50 % of cases", "low anchor", paper_low_anchor,
                   more_than_50_percent),
        ),
    ),
    "bs1534": Rule(
        "the post-screening of ITU-R BS.1534-3",
        "Recommendation ITU-R BS.1534-3 (10/2015), 4.1.2",
        _BS1534,
    ),
    "bs1534-iqr": Rule(
        "the post-screening of ITU-R BS.1534-3, and a rule of Earmark on outliers",
        "Recommendation ITU-R BS.1534-3 (10/2015), 4.1.2, which does not itself drop listeners for outliers",
        (
            *_BS1534,
            Clause("rate systems more than 1.5 interquartile ranges outside the quartiles of all listeners in more "
                   "than 15 % of cases", "system", bs1534_outliers, more_than_15_percent, compares=True),
        ),
    ),
    "none": Rule("no screening", "", ()),
}  # fmt: skip


def screen(ratings: Ratings, rule: str) -> Screening:
    """Drop the listeners whom any clause of the rule excludes.

    Skips a clause if no condition has its role, and notes it; a listener without ratings of that role is not judged by
    it. Listeners excluded by hand are dropped under every rule, and the others are judged without them. Every rule
    except "none" also drops listeners who missed an attention check.

    Raises:
        UserError: if the rule does not exist.
    """
    if rule not in RULES:
        raise UserError(f"--screen {rule}: no such rule; there are {', '.join(RULES)}")
    counts = ratings.frame.groupby("listener").size()
    clauses, roles = RULES[rule].clauses, set(ratings.roles.values())
    applied = tuple(clause for clause in clauses if clause.role in roles)
    skipped = tuple(
        f"Not applied: dropping listeners who {clause.text}; no condition is the {clause.role}."
        for clause in clauses
        if clause.role not in roles
    )
    reasons, evidence = _apply(applied, ratings, counts.index)
    if clauses and ratings.checks is not None:
        checked = missed_attention_checks(ratings.checks).reindex(counts.index).fillna("")
        evidence, reasons = _joined(evidence, checked["evidence"]), _joined(reasons, checked["reason"])
    by_hand = pd.Series([ratings.excluded.get(name, "") for name in counts.index], counts.index, dtype="str")
    reasons, evidence = reasons.where(by_hand == "", by_hand), evidence.where(by_hand == "", by_hand)
    kept = reasons == ""
    listeners = pd.DataFrame({"kept": kept, "reason": reasons, "evidence": evidence, "n": counts}).reset_index()
    kept_ratings = ratings.frame[ratings.frame["listener"].isin(kept.index[kept])]
    return Screening(RULES[rule], kept_ratings, listeners, applied, skipped)


def _apply(
    clauses: Iterable[Clause], ratings: Ratings, listeners: pd.Index[str]
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Reasons to drop each listener ("" for none), and all evidence; listeners excluded by hand do not influence it."""
    others = replace(ratings, frame=ratings.frame[~ratings.frame["listener"].isin(list(ratings.excluded))])
    reasons = evidence = pd.Series("", index=listeners, dtype="str")
    for clause in clauses:
        rated = others.with_role(clause.role)
        if rated.empty:
            continue
        judged = clause.judge(rated).reindex(listeners)
        text = judged["evidence"].fillna(f"no {clause.role} to judge by")
        evidence = _joined(evidence, text)
        reasons = _joined(reasons, text.where(judged["violated"].eq(True), ""))
    return reasons, evidence


def _share(ratings: pd.DataFrame, hits: pd.Series[bool], what: str, too_many: TooMany) -> pd.DataFrame:
    """Whether too many ratings of each listener are hits; compares integers, so that thresholds are exact."""
    counts = hits.groupby(ratings["listener"]).agg(["sum", "count"])
    evidence = [
        f"{what} in {hit} of {counted(n, 'rating')} ({100 * hit / n:.1f} %)"
        for hit, n in counts.itertuples(index=False)
    ]
    return pd.DataFrame(
        {"violated": too_many(counts["sum"], counts["count"]), "evidence": pd.Series(evidence, counts.index, "str")}
    )


def _joined(first: pd.Series[str], second: pd.Series[str]) -> pd.Series[str]:
    """Join the two texts of each listener, with a semicolon if neither is empty."""
    return first + (first.ne("") & second.ne("")).map({True: "; ", False: ""}) + second
