"""The report of a listening test: summary.csv, listeners.csv, the plot, and one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich import box
from rich.table import Table
from rich.text import Text

from codec.files import write_text, written_whole
from eval.aggregate import ALL
from mushra_app import rating_plot
from mushra_app.ratings import SPECIAL_ROLES, Ratings
from mushra_app.screening import Screening, screen
from mushra_app.statistics import summarise

Row = dict[Hashable, Any]  # of a summary

DASH = "–"
SUMMARY_COLUMNS = [
    "condition", "role", "category", "n", "listeners", "mean", "ci95_low", "ci95_high", "sd", "median",
]  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What was written, and what it says.

    Args:
        page, summary_csv, listeners_csv, plot_svg, plot_png: the files.
        summary: the rows of summary.csv, see `mushra_app.statistics.summarise`, with a column role; empty when all
            listeners were dropped.
        notes: what a reader must know, a sentence each.
    """

    page: Path
    summary_csv: Path
    listeners_csv: Path
    plot_svg: Path
    plot_png: Path
    summary: pd.DataFrame
    screening: Screening
    notes: tuple[str, ...]

    @property
    def listeners(self) -> int:
        """How many listeners there were."""
        return len(self.screening.listeners)

    @property
    def kept(self) -> int:
        """How many of them were kept."""
        return int(self.screening.listeners["kept"].sum())


def write_report(ratings: Ratings, rule: str, out: Path) -> Report:
    """Screen, summarise and write everything to the folder `out`.

    When no listener is left the report is written all the same: it shows why, and the means before screening.

    Args:
        rule: a key of `mushra_app.screening.RULES`.

    Raises:
        UserError: there is no such rule, or `out` cannot be written.
    """
    screening = screen(ratings, rule)
    before = summarise(ratings.frame)
    summary = summarise(screening.kept)
    summary["role"] = summary["condition"].map(ratings.roles).astype("str")
    summary = summary[SUMMARY_COLUMNS]
    notes = (*ratings.notes, *screening.skipped)
    if summary.empty:
        notes = (*notes, "No listener was kept, so there are no means after screening.")
    figure = rating_plot.plot(summary)
    drawing = rating_plot.svg(figure)
    written = Report(
        out / "report.html", out / "summary.csv", out / "listeners.csv", out / "plot.svg", out / "plot.png",
        summary, screening, notes,
    )  # fmt: skip
    write_text(written.summary_csv, _csv(summary))
    write_text(written.listeners_csv, _csv(screening.listeners))
    write_text(written.plot_svg, drawing)
    with written_whole(written.plot_png) as aside:
        aside.write_bytes(rating_plot.png(figure))
    write_text(written.page, _page(ratings, written, before, drawing))
    return written


def terminal_table(summary: pd.DataFrame) -> Table:
    """The summary for a rich console: a block per category where there are several.

    Args:
        summary: of a Report.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("condition", overflow="fold")
    table.add_column("role")
    for heading in ("n", "listeners", "mean", "95 % interval", "median"):
        table.add_column(heading, justify="right", no_wrap=True)
    categories = _shown_categories(summary)
    for category in categories:
        if len(categories) > 1:
            table.add_section()
            table.add_row(Text(category, style="bold"))
        for row in summary[summary["category"] == category].to_dict("records"):
            name = Text(f" {row['condition']}" if len(categories) > 1 else row["condition"])  # Text: no markup in names
            table.add_row(name, row["role"], str(row["n"]), str(row["listeners"]), _number(row["mean"]), _interval(row),
                          _number(row["median"]))  # fmt: skip
    return table


def _page(ratings: Ratings, report: Report, before: pd.DataFrame, drawing: str) -> str:
    environment = Environment(
        loader=PackageLoader("mushra_app"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": _number, "interval": _interval, "plus_minus": _plus_minus, "change": _change}
    summary, screening = report.summary, report.screening
    categories = _shown_categories(summary)
    cells = {(row["condition"], row["category"]): row for row in summary.to_dict("records")}
    frame = ratings.frame
    return environment.get_template("ratings_report.html").render(
        source=ratings.source,
        ratings=len(frame),
        items=frame["item"].nunique(),
        conditions=len(ratings.roles),
        listeners=report.listeners,
        kept=report.kept,
        kept_ratings=len(screening.kept),
        plot=Markup(drawing),  # matplotlib has escaped the names in it
        overall=[row for row in summary.to_dict("records") if row["category"] == ALL],
        categories=categories[1:],
        cells=cells,
        is_cut=rating_plot.cuts_an_interval(summary),
        rule=screening.rule,
        applied=screening.applied,
        skipped=screening.skipped,
        dropped=screening.dropped.to_dict("records"),
        before=[
            (row, cells.get((row["condition"], ALL)))
            for row in before[before["category"] == ALL].to_dict("records")
        ],
        roles=[(role, [name for name, its in ratings.roles.items() if its == role]) for role in SPECIAL_ROLES],
        notes=ratings.notes,
    )  # fmt: skip


def _shown_categories(summary: pd.DataFrame) -> list[str]:
    """ "all", and each category where there are at least two."""
    categories = list(summary["category"].unique())
    return categories if len(categories) > 2 else categories[:1]


def _number(value: float) -> str:
    """One decimal, a dash where there is no number."""
    return f"{value:.1f}" if math.isfinite(value) else DASH


def _interval(row: Row) -> str:
    """The 95 % confidence interval: "81.4 to 88.2"."""
    if not math.isfinite(row["ci95_low"]):
        return DASH
    return f"{row['ci95_low']:.1f} to {row['ci95_high']:.1f}"


def _plus_minus(row: Row) -> str:
    """Mean and half width of its interval: "84.8 ± 3.4"; the mean alone for a single rating."""
    half_width = (row["ci95_high"] - row["ci95_low"]) / 2
    return _number(row["mean"]) + (f" ± {half_width:.1f}" if math.isfinite(half_width) else "")


def _change(difference: float) -> str:
    """With its sign, a real minus: "−0.4"."""
    return f"{difference:+.1f}".replace("-", "−")


def _csv(table: pd.DataFrame) -> str:
    """CSV whose names no spreadsheet takes for a formula: those that begin like one get an apostrophe before them."""
    table = table.copy()
    for column in filter(lambda name: pd.api.types.is_string_dtype(table[name]), table.columns):
        formula = table[column].str.startswith(("=", "+", "-", "@", "\t", "\r"))
        table[column] = table[column].where(~formula, "'" + table[column])
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
