"""All results of a listening test, computed once for the report page, its plots and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis import comparisons, mixed_model, objective, significance
from earmark.mushra_app.analysis.crossed import crossed_means
from earmark.mushra_app.analysis.flags import flag, trial_seconds
from earmark.mushra_app.analysis.intervals import cluster_bootstrap, listeners_to_halve
from earmark.mushra_app.analysis.reliability import agreement, krippendorff_alpha
from earmark.mushra_app.ratings.screening import RULES, Screening, screen
from earmark.mushra_app.ratings.statistics import summarise
from earmark.mushra_app.ratings.table import Ratings

SUMMARY_COLUMNS = [
    "condition", "role", "category", "n", "listeners", "mean", "ci95_low", "ci95_high", "sd", "median", "q1", "q3",
    "boot95_low", "boot95_high", "crossed95_low", "crossed95_high", "mixed_mean", "mixed95_low", "mixed95_high",
]  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Results of a listening test, after screening unless stated otherwise.

    Args:
        summary: one row per condition and category: the columns of `ratings.statistics.summarise`, the condition's
            role, the bootstrap interval over listeners (boot95_*), the interval over listeners and items (crossed95_*)
            and, for the category "all", the mixed model's mean and interval (mixed*, NaN if not fitted). No rows if all
            listeners were dropped.
        before: the same before screening, without the mixed model.
        listeners: one row per listener, dropped or not: listener, kept, reason, evidence, n, items, seconds_per_trial
            (median, if known), agreement (correlation with the mean of the others), flags, and one column for each
            question of the questionnaires.
        rules: number of listeners that each rule of `ratings.screening` would drop: rule, title, dropped, skipped
            (clauses that could not be applied).
        friedman: Friedman's test over the conditions of the family, or None if it does not apply.
        systems_only: whether the family is the systems, without the hidden reference and anchors that the test has.
        comparisons: tests of every pair of conditions; see `analysis.comparisons.compare`.
        model: mixed model; its `reason` says why if it was not fitted.
        alpha_before, alpha: Krippendorff's alpha before and after screening.
        more_listeners: number of additional listeners that would halve the intervals over listeners.
        pairs, correlations: ratings with metric values, and their correlations; no rows if the study has no run.
    """

    summary: pd.DataFrame
    before: pd.DataFrame
    listeners: pd.DataFrame
    rules: pd.DataFrame
    friedman: significance.Friedman | None
    systems_only: bool
    comparisons: pd.DataFrame
    model: mixed_model.MixedModel
    alpha_before: float
    alpha: float
    more_listeners: int | None
    pairs: pd.DataFrame
    correlations: pd.DataFrame


def analyse(ratings: Ratings, screening: Screening, family: str = "systems") -> Results:
    """Compute all results of the report.

    Args:
        ratings: ratings of all listeners.
        screening: result of screening them.
        family: conditions tested together: "systems" or "all".
    """
    kept = screening.kept
    tested = comparisons.family_of(ratings.roles, everything=family == "all")
    means = significance.listener_means(kept, tested)
    model = mixed_model.fit(kept)
    pairs = objective.pairs(kept, _metrics(ratings))
    return Results(
        summary=_summary(ratings, kept, model),
        before=_intervals(ratings.frame),
        listeners=_listeners(ratings, screening),
        rules=_rules(ratings, screening),
        friedman=significance.friedman(means),
        systems_only=len(tested) < len(ratings.roles),
        comparisons=comparisons.compare(kept, tested),
        model=model,
        alpha_before=krippendorff_alpha(ratings.frame),
        alpha=krippendorff_alpha(kept),
        more_listeners=listeners_to_halve(kept["listener"].nunique()),
        pairs=pairs,
        correlations=objective.correlate(pairs),
    )


def _summary(ratings: Ratings, kept: pd.DataFrame, model: mixed_model.MixedModel) -> pd.DataFrame:
    summary = _intervals(kept).merge(model.means.assign(category=ALL), on=["condition", "category"], how="left")
    summary["role"] = summary["condition"].map(ratings.roles).astype("str")
    return summary[SUMMARY_COLUMNS]


def _intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Means with the intervals over ratings, over listeners, and over listeners and items."""
    keys = ["condition", "category"]
    summary = summarise(frame).merge(cluster_bootstrap(frame), on=keys, how="left")
    return summary.merge(crossed_means(frame), on=keys, how="left")


def _listeners(ratings: Ratings, screening: Screening) -> pd.DataFrame:
    columns: dict[str, pd.Series[Any]] = {"items": ratings.frame.groupby("listener")["item"].nunique()}
    if "seconds" in ratings.frame:
        columns["seconds_per_trial"] = trial_seconds(ratings.frame)
    columns |= {"agreement": agreement(ratings.frame), "flags": flag(ratings)}
    listeners = screening.listeners
    table = listeners.assign(**{name: listeners["listener"].map(column) for name, column in columns.items()})
    return table if ratings.answers is None else _with_answers(table, ratings.answers)


def _with_answers(listeners: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Add a column "answer: NAME" for each question; "" for a listener who was not asked it."""
    for question in answers["question"].unique():
        by_listener = answers[answers["question"] == question].groupby("listener")["answer"].agg("; ".join)
        listeners[f"answer: {question}"] = listeners["listener"].map(by_listener).fillna("").astype("str")
    return listeners


def _rules(ratings: Ratings, screening: Screening) -> pd.DataFrame:
    rows = []
    for name, rule in RULES.items():
        result = screening if rule == screening.rule else screen(ratings, name)
        rows.append({"rule": name, "title": rule.title, "dropped": len(result.dropped), "skipped": len(result.skipped)})
    return pd.DataFrame(rows)


def _metrics(ratings: Ratings) -> pd.DataFrame:
    """Metric scores, as a table without rows if there are none."""
    if ratings.metrics is not None:
        return ratings.metrics
    empty = pd.DataFrame({"item": [], "condition": [], "metric": [], "value": []})
    return empty.astype({"item": "str", "condition": "str", "metric": "str", "value": float})
