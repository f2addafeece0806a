"""Method paragraph of a report: what was done, in the words of a paper."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version

from earmark.codec.text import counted
from earmark.eval.statistics.sign_flip import DRAWN_UNITS, EXACT_UNITS, patterns_drawn
from earmark.mushra_app.analysis.comparisons import SIGNIFICANT
from earmark.mushra_app.analysis.intervals import REPLICATES
from earmark.mushra_app.analysis.results import Results
from earmark.mushra_app.ratings.screening import Screening
from earmark.mushra_app.ratings.table import SPECIAL_ROLES, Ratings
from earmark.mushra_app.report.intervals import Intervals
from earmark.mushra_app.study.pages import ATTENTION


def paragraph(ratings: Ratings, screening: Screening, results: Results, intervals: Intervals) -> str:
    """Describe design, screening, estimand, intervals, tests, corrections and software.

    Args:
        ratings: ratings of all listeners.
        screening: result of screening them.
        results: statistics of the ratings.
        intervals: what the report leads with.
    """
    parts = [_design(ratings), _screening(ratings, screening), _estimand(screening, intervals)]
    parts += _paper_intervals(results) if intervals.lead == "ci95" else [_intervals(), _tests(results)]
    parts.append(f"The analysis was made with Earmark {version('earmark')}.")
    return " ".join(part for part in parts if part)


def _design(ratings: Ratings) -> str:
    frame = ratings.frame
    counts = Counter(ratings.roles.values())
    systems = counted(counts["system"], "system")
    named = [f"{'a' if counts[role] == 1 else counts[role]} {role}" for role in SPECIAL_ROLES if counts[role]]
    *first, last = [systems, *named]
    conditions = f"{', '.join(first)} and {last}" if first else last
    items, listeners = frame["item"].nunique(), frame["listener"].nunique()
    each = frame.groupby("listener")["item"].nunique()
    rated = (
        f"all {items} items" if each.min() == items > 1 else f"{each.median():g} of {counted(items, 'item')} (median)"
    )
    return (
        f"{counted(listeners, 'listener')} each rated {rated} in "
        f"{counted(len(ratings.roles), 'condition')} ({conditions}) on the continuous quality scale from 0 to 100 of "
        "Recommendation ITU-R BS.1534-3 (MUSHRA)."
    )


def _screening(ratings: Ratings, screening: Screening) -> str:
    dropped, listeners = len(screening.dropped), len(screening.listeners)
    kept = f"{counted(len(screening.kept), 'rating')} of {counted(listeners - dropped, 'listener')} remained"
    excluded = f"{counted(len(ratings.excluded), 'listener')} excluded by the experimenter or a page of the session"
    if not screening.applied:
        also = f"apart from {excluded}" if ratings.excluded else ""
        return f"Listeners were not screened by their ratings{f', {also}' if also else ''}; {kept}."
    reasons = [clause.text for clause in screening.applied]
    if has_attention_checks(ratings):
        reasons.append("miss an attention check")
    return (
        f"Of {counted(listeners, 'listener')}, {dropped} {'was' if dropped == 1 else 'were'} dropped"
        f"{f', {excluded} among them' if ratings.excluded else ''} by {screening.rule.title} "
        f"({screening.rule.source}): "
        f"those who {'; or '.join(reasons)}. {kept[0].upper()}{kept[1:]}."
    )


def has_attention_checks(ratings: Ratings) -> bool:
    """Whether the session had attention checks, by which every rule but "none" drops listeners."""
    return ratings.checks is not None and bool(ratings.checks["check"].isin(ATTENTION).any())


def _estimand(screening: Screening, intervals: Intervals) -> str:
    frame = screening.kept
    if frame.empty:
        return ""
    complete = frame.groupby(["listener", "item"]).size() == frame["condition"].nunique()
    missing = "" if complete.all() else (
        f"; {(~complete).sum()} of {counted(len(complete), 'trial')} lack a condition, and nothing was imputed"
    )  # fmt: skip
    if intervals.difference == "listener_difference":
        return f"Means are over all ratings, each with the same weight{missing}."
    return (
        "Means are over all ratings, and differences over all trials in which a listener rated both conditions of the "
        f"pair, each trial with the same weight{missing}."
    )


def _intervals() -> str:
    return (
        "Two 95 % confidence intervals are given. The one for these items is a bootstrap of listeners with all their "
        f"ratings ({REPLICATES} samples, expanded percentiles: Hesterberg 2015). The one for other items too treats "
        "listeners and items as crossed random effects (Baayen, Davidson and Bates 2008; Cameron, Gelbach and Miller "
        "2011), with variances from the sums of squares (Henderson 1953, method 1) and Student's t with "
        "Satterthwaite's degrees of freedom."
    )


def _tests(results: Results) -> str:
    family = results.comparisons[results.comparisons["in_family"]]
    if family.empty:
        return ""
    units = int(family["listeners"].max())
    patterns = (
        "all sign patterns" if units <= EXACT_UNITS
        else f"{patterns_drawn(units):,} random patterns" if units <= DRAWN_UNITS
        else "the normal limit"
    )  # fmt: skip
    friedman = "Friedman's test compares the systems together, on the listeners' means. " if results.friedman else ""
    corrected = "" if len(family) == 1 else (
        f"corrected by Holm's method for the {len(family)} pairs of "
        + ("systems (the hidden reference and the anchors are outside this family), " if results.systems_only
           else "conditions, ")
    )  # fmt: skip
    return (
        f"{friedman}Each pair is tested for these items by a permutation test that flips the sign of all differences "
        f"of a listener ({patterns}), and for other items too by the t test of the crossed model. "
        f"Both are two-sided, {corrected}and significant below {SIGNIFICANT}."
    )


def _holm(pairs: int) -> str:
    return f", with Holm's correction for {pairs} pairs of conditions," if pairs > 1 else ""


def _paper_intervals(results: Results) -> list[str]:
    family = results.comparisons[results.comparisons["in_family"]]
    return [
        "The 95 % confidence interval of a mean is Student's t over all ratings, as in Défossez et al. 2022 (arXiv "
        "2210.13438), which treats the ratings of a listener as independent.",
        "" if family.empty else
        "Pairs are compared on the listeners' mean differences, each listener with the same weight, by Wilcoxon's "
        f"signed-rank test, two-sided{_holm(len(family))} and significant below {SIGNIFICANT}.",
    ]  # fmt: skip
