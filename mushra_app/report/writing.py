"""The report of a listening test: its tables as CSV, its plots, and one self-contained HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from earmark.codec.files import write_text, written_whole
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis.results import Results, analyse
from earmark.mushra_app.ratings.safe_csv import csv_text
from earmark.mushra_app.ratings.screening import Screening, screen
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report import distribution_plot, metric_plot, plot_style, rating_plot
from earmark.mushra_app.report import page as report_page
from earmark.mushra_app.report.page import interval, number, shown_categories


@dataclass(frozen=True)
class Report:
    """What was written, and what it says.

    Args:
        page: report.html, which holds the plots too.
        summary_csv, listeners_csv, comparisons_csv: the tables of `results`; beside them metrics.csv, where the study
            came from a run.
        plots: name -> SVG file, with the same drawing as PDF and PNG beside it.
        results: what was computed; its summary has no rows when all listeners were dropped.
        notes: what a reader must know, a sentence each.
    """

    page: Path
    summary_csv: Path
    listeners_csv: Path
    comparisons_csv: Path
    plots: dict[str, Path]
    results: Results
    screening: Screening
    notes: tuple[str, ...]

    @property
    def plot_svg(self) -> Path:
        """Means and intervals as SVG."""
        return self.plots["plot"]

    @property
    def plot_png(self) -> Path:
        """The same as PNG."""
        return self.plot_svg.with_suffix(".png")

    @property
    def summary(self) -> pd.DataFrame:
        """The rows of summary.csv."""
        return self.results.summary

    @property
    def listeners(self) -> int:
        """How many listeners there were."""
        return len(self.screening.listeners)

    @property
    def kept(self) -> int:
        """How many of them were kept."""
        return int(self.screening.listeners["kept"].sum())


def write_report(ratings: Ratings, rule: str, out: Path) -> Report:
    """Screen, analyse and write everything to the folder `out`.

    When no listener is left the report is written all the same: it shows why, and the means before screening.

    Args:
        rule: a key of `earmark.mushra_app.ratings.screening.RULES`.

    Raises:
        UserError: there is no such rule, or `out` cannot be written.
    """
    screening = screen(ratings, rule)
    results = analyse(ratings, screening)
    notes = (*ratings.notes, *screening.skipped)
    if results.summary.empty:
        notes = (*notes, "No listener was kept, so there are no means after screening.")
    figures = _figures(ratings, screening, results)
    written = Report(
        out / "report.html", out / "summary.csv", out / "listeners.csv", out / "comparisons.csv",
        {name: out / f"{name}.svg" for name in figures}, results, screening, notes,
    )  # fmt: skip
    write_text(written.summary_csv, csv_text(results.summary))
    write_text(written.listeners_csv, csv_text(results.listeners))
    write_text(written.comparisons_csv, csv_text(results.comparisons))
    if not results.correlations.empty:
        write_text(out / "metrics.csv", csv_text(results.correlations))
    drawings = {}
    for name, figure in figures.items():
        drawings[name] = plot_style.svg(figure)
        write_text(written.plots[name], drawings[name])
        for suffix, render in ((".pdf", plot_style.pdf), (".png", plot_style.png)):
            with written_whole(written.plots[name].with_suffix(suffix)) as aside:
                aside.write_bytes(render(figure))
    write_text(written.page, report_page.page(ratings, screening, results, drawings))
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
    categories = shown_categories(summary)
    for category in categories:
        if len(categories) > 1:
            table.add_section()
            table.add_row(Text(category, style="bold"))
        for row in summary[summary["category"] == category].to_dict("records"):
            name = Text(f" {row['condition']}" if len(categories) > 1 else row["condition"])  # Text: no markup in names
            table.add_row(name, row["role"], str(row["n"]), str(row["listeners"]), number(row["mean"]), interval(row),
                          number(row["median"]))  # fmt: skip
    return table


def _figures(ratings: Ratings, screening: Screening, results: Results) -> dict[str, Figure]:
    """plot: means and intervals. distribution: quartiles, where anybody was kept. metrics: where there are any."""
    figures = {"plot": rating_plot.plot(results.summary)}
    conditions = results.summary.loc[results.summary["category"] == ALL, "condition"].to_list()
    if conditions:
        figures["distribution"] = distribution_plot.plot(screening.kept, conditions, ratings.roles)
    if not results.correlations.empty:
        figures["metrics"] = metric_plot.plot(results.pairs, ratings.roles)
    return figures
