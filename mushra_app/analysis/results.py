"""All results of a listening test, computed once for the report page, its plots and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis import mixed_model, objective, significance
from earmark.mushra_app.analysis.flags import flag, trial_seconds
from earmark.mushra_app.analysis.intervals import cluster_bootstrap, listeners_to_halve
from earmark.mushra_app.analysis.reliability import agreement, krippendorff_alpha
from earmark.mushra_app.ratings.screening import RULES, Screening, screen
from earmark.mushra_app.ratings.statistics import summarise
from earmark.mushra_app.ratings.table import Ratings

SUMMARY_COLUMNS = [
    "condition", "role", "category", "n", "listeners", "mean", "ci95_low", "ci95_high", "sd", "median", "q1", "q3",
    "boot95_low", "boot95_high", "mixed_mean", "mixed95_low", "mixed95_high",
]  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Results of a listening test, after screening unless stated otherwise.

    Args:
        summary: one row per condition and category: the columns of `ratings.statistics.summarise`, the condition's
            role, the bootstrap interval over listeners (boot95_*) and, for the category "all", the mixed model's mean
            and interval (mixed*, NaN if not fitted). No rows if all listeners were dropped.
        before: `summarise` before screening.
        listeners: one row per listener, dropped or not: listener, kept, reason, evidence, n, items, seconds_per_trial
            (median, if known), agreement (correlation with the mean of the others), flags, and one column for each
            question of the questionnaires.
        rules: number of listeners that each rule of `ratings.screening` would drop: rule, title, dropped, skipped
            (clauses that could not be applied).
        friedman: Friedman's test over all conditions, or None if it does not apply.
        comparisons: pairwise tests between conditions; see `analysis.significance.pairwise`.
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
    comparisons: pd.DataFrame
    model: mixed_model.MixedModel
    alpha_before: float
    alpha: float
    more_listeners: int | None
    pairs: pd.DataFrame
    correlations: pd.DataFrame


def analyse(ratings: Ratings, screening: Screening) -> Results:
    """Compute all results of the report.

    Args:
        ratings: ratings of all listeners.
        screening: result of screening them.
    """
    kept = screening.kept
    means = significance.listener_means(kept)
    model = mixed_model.fit(kept)
    pairs = objective.pairs(kept, _metrics(ratings))
    return Results(
        summary=_summary(ratings, kept, model),
        before=summarise(ratings.frame),
        listeners=_listeners(ratings, screening),
        rules=_rules(ratings, screening),
        friedman=significance.friedman(means),
        comparisons=significance.pairwise(means),
        model=model,
        alpha_before=krippendorff_alpha(ratings.frame),
        alpha=krippendorff_alpha(kept),
        more_listeners=listeners_to_halve(kept["listener"].nunique()),
        pairs=pairs,
        correlations=objective.correlate(pairs),
    )


def _summary(ratings: Ratings, kept: pd.DataFrame, model: mixed_model.MixedModel) -> pd.DataFrame:
    summary = summarise(kept).merge(cluster_bootstrap(kept), on=["condition", "category"], how="left")
    summary = summary.merge(model.means.assign(category=ALL), on=["condition", "category"], how="left")
    summary["role"] = summary["condition"].map(ratings.roles).astype("str")
    return summary[SUMMARY_COLUMNS]


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
