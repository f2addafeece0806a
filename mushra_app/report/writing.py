"""Writing the report of a listening test: tables as CSV, plots, and one self-contained HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from earmark.codec.files import write_text, written_whole
from earmark.eval.paper import published_figure
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis.comparisons import too_few_listeners
from earmark.mushra_app.analysis.results import Results, analyse
from earmark.mushra_app.ratings import screening_risk
from earmark.mushra_app.ratings.safe_csv import csv_text
from earmark.mushra_app.ratings.screening import Screening, screen
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report import bandwidth_plot, distribution_plot, method, metric_plot, plot_style, rating_plot
from earmark.mushra_app.report import intervals as interval_sets
from earmark.mushra_app.report import page as report_page
from earmark.mushra_app.report.intervals import Intervals
from earmark.mushra_app.report.page import interval, number, shown_categories


@dataclass(frozen=True)
class Report:
    """Files and results of a report.

    Args:
        page: path of report.html, which contains the plots.
        summary_csv, listeners_csv, comparisons_csv: paths of the tables in `results`. A study built from a run also has
            metrics.csv.
        plots: name -> path of the SVG file; the same plot as PDF and PNG lies beside it.
        method_txt: path of the paragraph that describes the method, for a paper.
        results: all statistics; its summary has no rows if all listeners were dropped.
        screening: which listeners were dropped, and why.
        notes: remarks on the data, the screening and the tests, one sentence each.
        intervals: which intervals lead.
    """

    page: Path
    summary_csv: Path
    listeners_csv: Path
    comparisons_csv: Path
    method_txt: Path
    plots: dict[str, Path]
    results: Results
    screening: Screening
    notes: tuple[str, ...]
    intervals: Intervals

    @property
    def plot_svg(self) -> Path:
        """Path of the plot of means and intervals as SVG."""
        return self.plots["plot"]

    @property
    def plot_png(self) -> Path:
        """Path of the same plot as PNG."""
        return self.plot_svg.with_suffix(".png")

    @property
    def summary(self) -> pd.DataFrame:
        """Table of summary.csv: one row per condition and category."""
        return self.results.summary

    @property
    def listeners(self) -> int:
        """Number of listeners before screening."""
        return len(self.screening.listeners)

    @property
    def kept(self) -> int:
        """Number of listeners kept."""
        return int(self.screening.listeners["kept"].sum())


def write_report(
    ratings: Ratings, rule: str, out: Path, intervals: str = "listeners", published: bool = False
) -> Report:  # fmt: skip
    """Screen the listeners, analyse the ratings, and write tables, plots and page to a folder.

    If no listener is kept, the report still shows why, and the means before screening.

    Args:
        ratings: ratings of all listeners.
        rule: a key of `earmark.mushra_app.ratings.screening.RULES`.
        out: output folder, created if missing.
        intervals: a key of `earmark.mushra_app.report.intervals.INTERVALS`: which intervals and tests lead.
        published: draw the points of the EnCodec paper in the plot against bit rate, too.

    Raises:
        UserError: if the rule or the intervals do not exist, or `out` cannot be written.
    """
    shown = interval_sets.find(intervals)
    screening = screen(ratings, rule)
    results = analyse(ratings, screening, shown.family)
    too_few = too_few_listeners(results.comparisons)
    warnings = (*screening.skipped, *screening_risk.warnings(ratings, screening), *([too_few] if too_few else []))
    outliers = screening_risk.outliers_by_chance(ratings, screening)
    notes = (*ratings.notes, *warnings, *([outliers] if outliers else []))
    if results.summary.empty:
        notes = (*notes, "No listener was kept, so there are no means after screening.")
    figures = _figures(ratings, screening, results, shown, published)
    report = Report(
        out / "report.html", out / "summary.csv", out / "listeners.csv", out / "comparisons.csv",
        out / "method.txt", {name: out / f"{name}.svg" for name in figures}, results, screening, notes, shown,
    )  # fmt: skip
    write_text(report.summary_csv, csv_text(results.summary))
    write_text(report.listeners_csv, csv_text(results.listeners))
    write_text(report.comparisons_csv, csv_text(results.comparisons))
    write_text(report.method_txt, method.paragraph(ratings, screening, results, shown) + "\n")
    if not results.correlations.empty:
        write_text(out / "metrics.csv", csv_text(results.correlations))
    drawings = {name: _write_plot(figure, report.plots[name]) for name, figure in figures.items()}
    source = published_figure.SOURCE if published else ""
    write_text(report.page, report_page.page(ratings, screening, results, drawings, shown, warnings, outliers, source))
    return report


def _write_plot(figure: Figure, path: Path) -> str:
    """Write the figure as SVG, PDF and PNG; returns the SVG."""
    drawing = plot_style.svg(figure)
    write_text(path, drawing)
    for suffix, render in ((".pdf", plot_style.pdf), (".png", plot_style.png)):
        with written_whole(path.with_suffix(suffix)) as aside:
            aside.write_bytes(render(figure))
    return drawing


def terminal_table(summary: pd.DataFrame, intervals: Intervals) -> Table:
    """Format a summary as a rich table, with a block per category if there are several.

    Args:
        summary: summary of a Report.
        intervals: which intervals to show.
    """
    paper = intervals.lead == "ci95"
    columns = {"ci95": "95 % interval"}
    if not paper:
        columns = {
            name: f"95 % interval\n{intervals.shown[name].removeprefix('for ')}"
            for name in (intervals.lead, intervals.second)
        }
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("condition", overflow="fold")
    table.add_column("role", max_width=9)
    for heading in ("n", "listeners", "mean", *columns.values(), *(["median"] if paper else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    categories = shown_categories(summary)
    for category in categories:
        if len(categories) > 1:
            table.add_section()
            table.add_row(Text(category, style="bold"))
        for row in summary[summary["category"] == category].to_dict("records"):
            # Text, because names may look like rich markup.
            name = Text(f" {row['condition']}" if len(categories) > 1 else row["condition"])
            table.add_row(name, row["role"], str(row["n"]), str(row["listeners"]), number(row["mean"]),
                          *(interval(row, column) for column in columns),
                          *([number(row["median"])] if paper else []))  # fmt: skip
    return table


def _figures(
    ratings: Ratings, screening: Screening, results: Results, intervals: Intervals, published: bool
) -> dict[str, Figure]:  # fmt: skip
    """Figures by name: plot, bandwidth if bit rates are known, distribution unless all listeners were dropped, and
    metrics if there are any."""
    figures = {"plot": rating_plot.plot(results.summary, intervals)}
    conditions = results.summary.loc[results.summary["category"] == ALL, "condition"].to_list()
    rates = ratings.rates
    if rates is not None and bandwidth_plot.known_rates(results.summary, rates):
        figures["bandwidth"] = bandwidth_plot.plot(results.summary, rates, intervals, published)
    if conditions:
        figures["distribution"] = distribution_plot.plot(screening.kept, conditions, ratings.roles)
    if not results.correlations.empty:
        figures["metrics"] = metric_plot.plot(results.pairs, ratings.roles)
    return figures
