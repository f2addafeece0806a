"""HTML page of a listening test's report, from templates/ratings_report.html and its parts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from earmark.codec.text import counted
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.numbers import kbps_text, p_statement, probability
from earmark.mushra_app.analysis import listening, objective
from earmark.mushra_app.analysis.comparisons import SIGNIFICANT, too_few_listeners
from earmark.mushra_app.analysis.flags import FLAGS
from earmark.mushra_app.analysis.rates import rate_of
from earmark.mushra_app.analysis.results import Results
from earmark.mushra_app.ratings.screening import Screening
from earmark.mushra_app.ratings.table import SPECIAL_ROLES, Ratings
from earmark.mushra_app.report import method, rating_plot
from earmark.mushra_app.report.intervals import Intervals
from earmark.mushra_app.report.plot_style import in_page

Row = Mapping[Hashable, Any]  # row of a table as column -> value

DASH = "–"
LISTENERS_SHOWN = 100  # rows in each table of listeners; listeners.csv has all


def page(
    ratings: Ratings, screening: Screening, results: Results, drawings: Mapping[str, str], intervals: Intervals,
    warnings: Sequence[str] = (), outliers: str = "", published: str = "",
) -> str:  # fmt: skip
    """Render the HTML page, which loads no other file.

    Args:
        ratings: ratings of all listeners.
        screening: result of screening them.
        results: statistics of the ratings.
        drawings: SVG files by name: plot and, if available, bandwidth, distribution and metrics.
        intervals: which intervals to show, the leading one first.
        warnings: sentences for the head of the page.
        outliers: sentence on the rule on outliers, or "".
        published: source of the published points in the plot against bit rate; "" if there are none.
    """
    environment = Environment(
        loader=PackageLoader("earmark.mushra_app.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": number, "interval": interval, "plus_minus": plus_minus, "change": change, "probability": probability,
        "p_statement": p_statement, "counted": counted, "with_interval": with_interval,
        "two": lambda value: number(value, 2),
    }  # fmt: skip
    return environment.get_template("ratings_report.html").render(
        drawings={
            name: Markup(in_page(drawing, name)) for name, drawing in drawings.items()
        },  # matplotlib escapes names
        **_overview(ratings, screening),
        intervals=intervals,
        warnings=warnings,
        outliers=outliers,
        published=published,
        method=method.paragraph(ratings, screening, results, intervals),
        **_scores(results, intervals),
        **_comparisons(results, intervals),
        **_screening(ratings, screening, results),
        **_listeners(results),
        heard=listening.by_condition(screening.kept).to_dict("records"),
        devices=listening.device_counts(ratings),
    )


def _overview(ratings: Ratings, screening: Screening) -> dict[str, Any]:
    """Values for the head of the page and its notes."""
    frame = ratings.frame
    return {
        "source": ratings.source,
        "ratings": len(frame),
        "items": frame["item"].nunique(),
        "conditions": len(ratings.roles),
        "listeners": len(screening.listeners),
        "kept": int(screening.listeners["kept"].sum()),
        "kept_ratings": len(screening.kept),
        "roles": [(role, [name for name in ratings.roles if ratings.roles[name] == role]) for role in SPECIAL_ROLES],
        "notes": ratings.notes,
        "rates": measured_rates(ratings),
    }


def measured_rates(ratings: Ratings) -> dict[str, str]:
    """Measured bit rate of each condition as text, where it is known."""
    if ratings.rates is None:
        return {}
    rates = {name: rate_of(ratings.rates, name, ALL) for name in ratings.roles}
    known = {name: plain if math.isfinite(plain) else coded for name, (plain, coded) in rates.items()}
    return {name: f"{kbps_text(kbps)} kbps" for name, kbps in known.items() if math.isfinite(kbps)}


def _scores(results: Results, intervals: Intervals) -> dict[str, Any]:
    """Values for the sections on scores and metrics."""
    summary = results.summary
    return {
        "overall": [row for row in summary.to_dict("records") if row["category"] == ALL],
        "categories": shown_categories(summary)[1:],
        "cells": {(row["condition"], row["category"]): row for row in summary.to_dict("records")},
        "is_cut": rating_plot.cuts_an_interval(summary, intervals),
        "correlations": results.correlations.to_dict("records"),
        "few_conditions": objective.few_conditions(results.correlations),
    }


def _comparisons(results: Results, intervals: Intervals) -> dict[str, Any]:
    """Values for the section on differences."""
    pairs = results.comparisons
    family = pairs[pairs["in_family"]]
    return {
        "comparisons": pairs.to_dict("records"),
        "family": family.to_dict("records"),
        "others": pairs[~pairs["in_family"]].to_dict("records"),
        "grid": _grid(results, intervals),
        "significant": SIGNIFICANT,
        "too_few": too_few_listeners(pairs),
        "friedman": results.friedman,
        "systems_only": results.systems_only,
    }


def _screening(ratings: Ratings, screening: Screening, results: Results) -> dict[str, Any]:
    """Values for the section on screening."""
    return {
        "rule": screening.rule,
        "rules": results.rules.to_dict("records"),
        "applied": screening.applied,
        "skipped": screening.skipped,
        "attention": method.has_attention_checks(ratings),
        "by_hand": len(ratings.excluded),
        "dropped": screening.dropped.head(LISTENERS_SHOWN).to_dict("records"),
        "dropped_count": len(screening.dropped),
        "before": [row for row in results.before.to_dict("records") if row["category"] == ALL],
    }


def _listeners(results: Results) -> dict[str, Any]:
    """Values for the section on listeners."""
    listeners = results.listeners
    answer_columns = [name for name in map(str, listeners) if name.startswith("answer: ")]
    flagged = listeners[listeners["flags"] != ""]
    return {
        "model": results.model,
        "alpha": results.alpha,
        "alpha_before": results.alpha_before,
        "more_listeners": results.more_listeners,
        "agreement": listeners.loc[listeners["kept"], "agreement"].quantile([0, 0.5, 1]).to_list(),
        "flags": FLAGS,
        "flagged": flagged.head(LISTENERS_SHOWN).to_dict("records"),
        "flagged_count": len(flagged),
        "questions": [name.removeprefix("answer: ") for name in answer_columns],
        "answered": listeners.head(LISTENERS_SHOWN)[["listener", *answer_columns, "kept"]].to_numpy().tolist(),
    }


def shown_categories(summary: pd.DataFrame) -> list[str]:
    """Categories to show: "all", then each category if there are at least two."""
    categories = list(summary["category"].unique())
    return categories if len(categories) > 2 else categories[:1]


def number(value: float, decimals: int = 1) -> str:
    """Format a number with a typographic minus; NaN becomes a dash."""
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else DASH


def interval(row: Row, name: str) -> str:
    """Format the row's 95 % confidence interval: "81.4 to 88.2"."""
    if not math.isfinite(row[f"{name}_low"]):
        return DASH
    return f"{number(row[f'{name}_low'])} to {number(row[f'{name}_high'])}"


def with_interval(row: Row, name: str) -> str:
    """Format mean and interval: "84.8 (81.4 to 88.2)", "84.8 ± 3.4" for Student's t, or the mean alone."""
    if name == "ci95":
        return plus_minus(row)
    between = interval(row, name)
    return number(row["mean"]) + (f" ({between})" if between != DASH else "")


def plus_minus(row: Row) -> str:
    """Format mean and half width of the interval: "84.8 ± 3.4"; the mean alone for a single rating."""
    half_width = (row["ci95_high"] - row["ci95_low"]) / 2
    return number(row["mean"]) + (f" ± {half_width:.1f}" if math.isfinite(half_width) else "")


def change(difference: float) -> str:
    """Format a difference with its sign: "−0.4"."""
    return f"{difference:+.1f}".replace("-", "−") if math.isfinite(difference) else DASH


def _grid(
    results: Results, intervals: Intervals
) -> tuple[list[str], list[tuple[str, list[dict[Hashable, Any] | None]]]]:
    """Conditions of the family, best first, and for each but the last its differences to those after it.

    A difference is a row of the comparisons with the signed `value`; None if nobody rated the two in one trial.
    """
    pairs = {}
    for row in results.comparisons.to_dict("records"):
        if row["in_family"]:
            pairs[row["better"], row["worse"]] = {**row, "value": row[intervals.difference]}
            pairs[row["worse"], row["better"]] = {**row, "value": -row[intervals.difference]}
    members = {name for pair in pairs for name in pair}
    summary = results.summary
    names = [name for name in summary.loc[summary["category"] == ALL, "condition"] if name in members]
    rows = [(name, [pairs.get((name, other)) for other in names[index + 1 :]]) for index, name in enumerate(names)]
    return names, rows[:-1]
