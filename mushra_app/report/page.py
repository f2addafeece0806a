"""The page of a listening test's report, from templates/ratings_report.html and its parts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from earmark.codec.text import counted
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis.flags import FLAGS
from earmark.mushra_app.analysis.results import Results
from earmark.mushra_app.ratings.screening import Screening
from earmark.mushra_app.ratings.table import SPECIAL_ROLES, Ratings
from earmark.mushra_app.report import rating_plot
from earmark.mushra_app.report.plot_style import in_page
from earmark.mushra_app.study.pages import ATTENTION

Row = Mapping[Hashable, Any]  # of a table

DASH = "–"
SIGNIFICANT = 0.05
LISTENERS_SHOWN = 100  # in each table of the page; listeners.csv has everybody


def page(ratings: Ratings, screening: Screening, results: Results, drawings: Mapping[str, str]) -> str:
    """The HTML page, which loads nothing from elsewhere.

    Args:
        drawings: SVG files by name: plot, and where there are any distribution and metrics.
    """
    environment = Environment(
        loader=PackageLoader("earmark.mushra_app.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": number, "interval": interval, "plus_minus": plus_minus, "change": change, "p_value": p_value,
        "counted": counted, "two": lambda value: number(value, 2),
    }  # fmt: skip
    summary, frame = results.summary, ratings.frame
    answer_columns = [name for name in map(str, results.listeners) if name.startswith("answer: ")]
    flagged = results.listeners[results.listeners["flags"] != ""]
    return environment.get_template("ratings_report.html").render(
        source=ratings.source,
        ratings=len(frame),
        items=frame["item"].nunique(),
        conditions=len(ratings.roles),
        listeners=len(screening.listeners),
        kept=int(screening.listeners["kept"].sum()),
        kept_ratings=len(screening.kept),
        # matplotlib has escaped the names in them
        drawings={name: Markup(in_page(drawing)) for name, drawing in drawings.items()},
        overall=[row for row in summary.to_dict("records") if row["category"] == ALL],
        categories=shown_categories(summary)[1:],
        cells={(row["condition"], row["category"]): row for row in summary.to_dict("records")},
        is_cut=rating_plot.cuts_an_interval(summary),
        comparisons=results.comparisons.to_dict("records"),
        grid=_grid(results.comparisons),
        significant=SIGNIFICANT,
        friedman=results.friedman,
        model=results.model,
        alpha=results.alpha,
        alpha_before=results.alpha_before,
        more_listeners=results.more_listeners,
        agreement=results.listeners.loc[results.listeners["kept"], "agreement"].quantile([0, 0.5, 1]).to_list(),
        correlations=results.correlations.to_dict("records"),
        attention=ratings.checks is not None and bool(ratings.checks["check"].isin(ATTENTION).any()),
        by_hand=len(ratings.excluded),
        rule=screening.rule,
        rules=results.rules.to_dict("records"),
        applied=screening.applied,
        skipped=screening.skipped,
        dropped=screening.dropped.head(LISTENERS_SHOWN).to_dict("records"),
        dropped_count=len(screening.dropped),
        before=[row for row in results.before.to_dict("records") if row["category"] == ALL],
        flags=FLAGS,
        questions=[name.removeprefix("answer: ") for name in answer_columns],
        answered=results.listeners.head(LISTENERS_SHOWN)[["listener", *answer_columns, "kept"]].to_numpy().tolist(),
        flagged=flagged.head(LISTENERS_SHOWN).to_dict("records"),
        flagged_count=len(flagged),
        roles=[(role, [name for name, its in ratings.roles.items() if its == role]) for role in SPECIAL_ROLES],
        notes=ratings.notes,
    )  # fmt: skip


def shown_categories(summary: pd.DataFrame) -> list[str]:
    """ "all", and each category where there are at least two."""
    categories = list(summary["category"].unique())
    return categories if len(categories) > 2 else categories[:1]


def number(value: float, decimals: int = 1) -> str:
    """One decimal unless told otherwise, with a real minus; a dash where there is no number."""
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else DASH


def interval(row: Row, name: str = "ci95") -> str:
    """A 95 % confidence interval: "81.4 to 88.2"."""
    if not math.isfinite(row[f"{name}_low"]):
        return DASH
    return f"{row[f'{name}_low']:.1f} to {row[f'{name}_high']:.1f}"


def plus_minus(row: Row) -> str:
    """Mean and half width of its interval: "84.8 ± 3.4"; the mean alone for a single rating."""
    half_width = (row["ci95_high"] - row["ci95_low"]) / 2
    return number(row["mean"]) + (f" ± {half_width:.1f}" if math.isfinite(half_width) else "")


def change(difference: float) -> str:
    """With its sign, a real minus: "−0.4"."""
    return f"{difference:+.1f}".replace("-", "−") if math.isfinite(difference) else DASH


def p_value(p: float) -> str:
    """ "0.031", and "< 0.001" below."""
    if not math.isfinite(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _grid(comparisons: pd.DataFrame) -> list[tuple[str, list[dict[Hashable, Any]]]]:
    """Each condition but the worst, with its comparisons to all that are worse, best first."""
    return [(str(better), rows.to_dict("records")) for better, rows in comparisons.groupby("better", sort=False)]
