"""Post-screening: which listeners' ratings count, rule by rule, with the evidence for every exclusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.study.pages import ATTENTION
from earmark.mushra_app.study.study import Role

# A clause looks at the ratings of one role's conditions (listener, item, score) and answers, per listener, a table with
# violated (bool) and evidence (text).
Judge = Callable[[pd.DataFrame], pd.DataFrame]
TooMany = Callable[["pd.Series[int]", "pd.Series[int]"], "pd.Series[bool]"]  # (hits, of so many ratings)


@dataclass(frozen=True)
class Clause:
    """One reason to drop a listener, "drops listeners who ...", and the role of the conditions it judges by."""

    text: str
    role: Role
    judge: Judge


@dataclass(frozen=True)
class Rule:
    """Clauses that are applied together, and where they are published."""

    title: str
    source: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True)
class Screening:
    """What a rule found.

    Args:
        kept: the ratings of the listeners who were kept.
        listeners: one row per listener: listener, kept (bool), reason (why dropped, or ""), evidence (every count that
            was looked at), n (ratings).
        applied: the clauses that were applied.
        skipped: a sentence for each clause that could not be applied.
    """

    rule: Rule
    kept: pd.DataFrame
    listeners: pd.DataFrame
    applied: tuple[Clause, ...]
    skipped: tuple[str, ...]

    @property
    def dropped(self) -> pd.DataFrame:
        """The rows of `listeners` that were not kept."""
        return self.listeners[~self.listeners["kept"]]


def paper_hidden_reference(ratings: pd.DataFrame) -> pd.DataFrame:
    """arXiv 2210.13438, section 4.3: rate the reference recordings below 90 in at least 20 % of the cases."""
    return _share(ratings, ratings["score"] < 90, "hidden reference below 90", lambda hits, n: 100 * hits >= 20 * n)


def paper_low_anchor(ratings: pd.DataFrame) -> pd.DataFrame:
    """arXiv 2210.13438, section 4.3: rate the low-anchor recordings above 80 more than 50 % of the time."""
    return _share(ratings, ratings["score"] > 80, "low anchor above 80", lambda hits, n: 100 * hits > 50 * n)


def bs1534_hidden_reference(ratings: pd.DataFrame) -> pd.DataFrame:
    """ITU-R BS.1534-3, 4.1.2: rate the hidden reference lower than 90 for more than 15 % of the test items."""
    return _share(ratings, ratings["score"] < 90, "hidden reference below 90", lambda hits, n: 100 * hits > 15 * n)


def bs1534_mid_anchor(ratings: pd.DataFrame) -> pd.DataFrame:
    """ITU-R BS.1534-3, 4.1.2: rate the mid anchor higher than 90 for more than 15 % of the test items.

    An item whose mid anchor at least a quarter of the listeners rate so high was hardly degraded by it, and does not
    count; 4.1.2 has this for "more than 25 %", so that a quarter to the person is all that differs.
    """
    high = ratings["score"] > 90
    by_item = high.groupby(ratings["item"]).agg(["sum", "count"])
    excused = by_item.index[4 * by_item["sum"] >= by_item["count"]]
    counted = ~ratings["item"].isin(excused)
    found = _share(ratings[counted], high[counted], "mid anchor above 90", lambda hits, n: 100 * hits > 15 * n)
    if len(excused):
        found["evidence"] += f"; items not counted, where at least a quarter of the listeners do so: {len(excused)}"
    return found


def bs1534_outliers(ratings: pd.DataFrame) -> pd.DataFrame:
    """ITU-R BS.1534-3, 4.1.2: outliers, more than 1.5 interquartile ranges outside the quartiles of all listeners.

    The fences are those of the same item in the same condition, where at least four listeners rated it. How many such
    ratings make a listener an outlier is taken from the clause's other criteria: more than 15 %.
    """
    by_cell = ratings.groupby(["item", "condition"])["score"]
    fences = by_cell.quantile(0.25).to_frame("q1").assign(q3=by_cell.quantile(0.75), count=by_cell.size())
    cells = pd.MultiIndex.from_frame(ratings[["item", "condition"]])
    placed = fences.reindex(cells).set_index(ratings.index)
    reach = 1.5 * (placed["q3"] - placed["q1"])
    outside = (ratings["score"] < placed["q1"] - reach) | (ratings["score"] > placed["q3"] + reach)
    counted = placed["count"] >= 4
    return _share(
        ratings[counted],
        outside[counted],
        "system outside 1.5 interquartile ranges",
        lambda hits, n: 100 * hits > 15 * n,
    )


def missed_attention_checks(checks: pd.DataFrame) -> pd.DataFrame:
    """Attention checks that a study has switched on, see `mushra_app.database.attention`: one that is missed is enough.

    Args:
        checks: listener, check, passed, evidence.

    Returns:
        Per listener reason (the checks that were missed, "" for none) and evidence (all of them).
    """
    found = checks[checks["check"].isin(ATTENTION)]
    by_listener = found["evidence"].groupby(found["listener"]).agg("; ".join)
    missed = found[~found["passed"]]
    reason = missed["evidence"].groupby(missed["listener"]).agg("; ".join).reindex(by_listener.index).fillna("")
    reason = ("missed an attention check: " + reason).where(reason != "", "")
    return pd.DataFrame({"reason": reason, "evidence": by_listener})


_BS1534 = (
    Clause("rate the hidden reference below 90 for more than 15 % of the items", "hidden reference",
           bs1534_hidden_reference),
    Clause("rate the mid anchor above 90 for more than 15 % of the items, not counting items where at least "
           "a quarter of the listeners do so (the Recommendation: more than 25 %)", "mid anchor", bs1534_mid_anchor),
)  # fmt: skip

RULES: dict[str, Rule] = {
    "paper": Rule(
        "the rule of the EnCodec paper",
        "Défossez et al. 2022, arXiv 2210.13438, section 4.3",
        (
            Clause("rate the hidden reference below 90 in at least 20 % of cases", "hidden reference",
                   paper_hidden_reference),
            Clause("rate the low anchor above 80 in more than 50 % of cases", "low anchor", paper_low_anchor),
        ),
    ),
    "bs1534": Rule(
        "the post-screening of ITU-R BS.1534-3",
        "Recommendation ITU-R BS.1534-3 (10/2015), 4.1.2",
        _BS1534,
    ),
    "bs1534-iqr": Rule(
        "the post-screening of ITU-R BS.1534-3 with its criterion for outliers",
        "Recommendation ITU-R BS.1534-3 (10/2015), 4.1.2",
        (
            *_BS1534,
            Clause("rate systems more than 1.5 interquartile ranges outside the quartiles of all listeners in more "
                   "than 15 % of cases", "system", bs1534_outliers),
        ),
    ),
    "none": Rule("no screening", "", ()),
}  # fmt: skip


def screen(ratings: Ratings, rule: str) -> Screening:
    """Drop the listeners whom any clause of the rule excludes.

    A clause about a role that no condition has is skipped, and a listener who rated no condition of that role is not
    judged by it; both are said. Listeners who were excluded by hand are dropped whatever the rule, and the others are
    judged as if they had not been there. Every rule but "none" drops those who missed an attention check, where the
    study had such.

    Raises:
        UserError: there is no such rule.
    """
    if rule not in RULES:
        raise UserError(f"--screen {rule}: no such rule; there are {', '.join(RULES)}")
    counts = ratings.frame.groupby("listener").size()
    reasons = pd.Series("", index=counts.index, dtype="str")
    evidence = reasons.copy()
    applied, skipped = [], []
    judged = replace(ratings, frame=ratings.frame[~ratings.frame["listener"].isin(list(ratings.excluded))])
    clauses = RULES[rule].clauses
    for clause in clauses:
        if clause.role not in ratings.roles.values():
            skipped.append(f"Not applied: dropping listeners who {clause.text}; no condition is the {clause.role}.")
            continue
        applied.append(clause)
        of_role = judged.with_role(clause.role)
        if of_role.empty:
            continue
        found = clause.judge(of_role).reindex(counts.index)
        said = found["evidence"].fillna(f"no {clause.role} to judge by")
        evidence = _joined(evidence, said)
        reasons = _joined(reasons, said.where(found["violated"].eq(True), ""))
    if clauses and ratings.checks is not None:
        found = missed_attention_checks(ratings.checks).reindex(counts.index).fillna("")
        evidence, reasons = _joined(evidence, found["evidence"]), _joined(reasons, found["reason"])
    by_hand = pd.Series([ratings.excluded.get(name, "") for name in counts.index], counts.index, dtype="str")
    reasons, evidence = reasons.where(by_hand == "", by_hand), evidence.where(by_hand == "", by_hand)
    kept = reasons == ""
    listeners = pd.DataFrame({"kept": kept, "reason": reasons, "evidence": evidence, "n": counts}).reset_index()
    kept_ratings = ratings.frame[ratings.frame["listener"].isin(kept.index[kept])]
    return Screening(RULES[rule], kept_ratings, listeners, tuple(applied), tuple(skipped))


def _share(ratings: pd.DataFrame, hits: pd.Series[bool], what: str, too_many: TooMany) -> pd.DataFrame:
    """Per listener, whether too many of the ratings are hits; whole numbers, so that a threshold is met exactly."""
    counts = hits.groupby(ratings["listener"]).agg(["sum", "count"])
    evidence = [
        f"{what} in {hit} of {counted(n, 'rating')} ({100 * hit / n:.1f} %)"
        for hit, n in counts.itertuples(index=False)
    ]
    return pd.DataFrame(
        {"violated": too_many(counts["sum"], counts["count"]), "evidence": pd.Series(evidence, counts.index, "str")}
    )


def _joined(first: pd.Series[str], second: pd.Series[str]) -> pd.Series[str]:
    """The two texts of each listener, with a semicolon between them where there are two."""
    return first + (first.ne("") & second.ne("")).map({True: "; ", False: ""}) + second
