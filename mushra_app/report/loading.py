"""Ratings for Python callers: `earmark.load_ratings` reads them, and the object it returns writes the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.analysis.rates import read_rates
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.sources import rating_files
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.report.writing import Report, write_report
from earmark.mushra_app.study.study import Role


class LoadedRatings:
    """The ratings of one listening test, as `load_ratings` returns them."""

    def __init__(self, ratings: Ratings) -> None:
        self._ratings = ratings

    @property
    def table(self) -> pd.DataFrame:
        """One row per rating: listener, item, condition (text), score (0 to 100).

        Where the source has them, also category, comment, seconds (time the listener spent on the trial), and for a
        study position, submitted, excluded and excluded_by.
        """
        return self._ratings.frame

    @property
    def roles(self) -> Mapping[str, Role]:
        """Role of each condition: "system", "hidden reference", "low anchor" or "mid anchor"."""
        return self._ratings.roles

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions, repairs and omissions of the import, one sentence each."""
        return self._ratings.notes

    def report(
        self, folder: str | Path, screen: str = "paper", intervals: str = "listeners", *,
        rates: str | Path | None = None, published: bool = False,
    ) -> Report:  # fmt: skip
        """Screen the listeners, analyse the ratings and write the report to a folder.

        The folder receives report.html, summary.csv, listeners.csv, comparisons.csv, method.txt and the plots as SVG,
        PDF and PNG; a study built from a run adds metrics.csv. Existing files of these names are replaced.

        Args:
            folder: output folder, created if missing.
            screen: rule that drops listeners: "paper" (EnCodec paper, section 4.3), "bs1534" (ITU-R BS.1534-3, 4.1.2),
                "bs1534-iqr" (the same, and a rule on outliers) or "none".
            intervals: what leads: "listeners" (a bootstrap of listeners, for these items) or "paper" (Student's t over
                ratings and Wilcoxon's tests over all conditions, as reports before Earmark 0.1 had).
            rates: bit rates of the conditions, for a plot of scores against them: a run, or a CSV file with the columns
                condition and kbps, and if known category and coded_kbps (with entropy coding). Default: those of the
                run that a study was built from.
            published: draw the points of the EnCodec paper in that plot, too.

        Returns:
            The paths written and the results as tables, e.g. `summary`, one row per condition and category.

        Raises:
            UserError: the rule or the intervals do not exist, the bit rates cannot be read or are of other conditions,
                or the folder cannot be written.
        """
        ratings = self._ratings
        if rates is not None:
            ratings = replace(ratings, rates=_rates_for(ratings, Path(rates)))
        if published and ratings.rates is None:
            raise UserError("--published draws points beside yours in the plot against bit rate; give --rates")
        return write_report(ratings, screen, Path(folder), intervals, published)

    def __repr__(self) -> str:
        ratings = self._ratings
        listeners, items = (ratings.frame[name].nunique() for name in ("listener", "item"))
        return (
            f"<LoadedRatings {ratings.source!r}: {len(ratings.frame)} ratings, {listeners} listeners, {items} items, "
            f"{len(ratings.roles)} conditions>"
        )


def load_ratings(
    path: str | Path | Sequence[str | Path],
    *,
    reference: str | None = None,
    low_anchor: str | None = None,
    mid_anchor: str | None = None,
    database: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    scale: tuple[float, float] | None = None,
    skip_items: Sequence[str] = (),
) -> LoadedRatings:
    """Load the ratings of a study, of a rating file, or of several.

    Rating files are results of webMUSHRA, pymushra, GoListen, listen-and-rate, BeaqleJS and the Web Audio Evaluation
    Tool; tables (CSV or Parquet) with the columns listener, item, condition and score, or with a column per condition;
    and any other table by `columns`. The content decides which it is. If a listener rated a stimulus in several
    sessions, the mean counts.

    Args:
        path: study folder, rating file, folder of rating files, or a list of files and folders.
        reference: condition that is the hidden reference; default: the one with a usual name, e.g. "reference".
        low_anchor: condition that is the low anchor; default: as above, e.g. "anchor35".
        mid_anchor: condition that is the mid anchor; default: as above, e.g. "anchor70".
        database: SQLAlchemy URL of the study's ratings; default: ratings.sqlite in the study folder.
        columns: headings of a table, by "listener", "item", "condition" and "score"; "conditions", a list, for a column
            per condition; or "stimulus" for the name of an audio file, ITEM-CONDITION or ITEM_CONDITION; also
            "category", "comment", "seconds" and "session".
        scale: lowest and highest score, which are mapped to 0 and 100; default: scores are used as they are. A scale
            that the format defines, as that of the Web Audio Evaluation Tool does, precedes it.
        skip_items: items to leave out, such as practice; * and ? are wildcards.

    Returns:
        The ratings, with `table`, `roles`, `notes` and `report`.

    Raises:
        UserError: the file is not a rating file or holds invalid ratings, a named condition does not exist, the study
            has no ratings yet, or an argument does not apply to the path.

    Examples:
        >>> ratings = earmark.load_ratings("webmushra.csv", low_anchor="LP3500")
        >>> ratings.table.groupby("condition")["score"].mean()
        >>> ratings.report("report/", screen="bs1534").summary
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(one) for one in path]
    if not paths:
        raise UserError("no rating file is named")
    if len(paths) == 1 and _is_study(paths[0]):
        if reference or low_anchor or mid_anchor:
            raise UserError(
                f"{paths[0]}: a study defines its own reference and anchors; "
                "--reference, --low-anchor and --mid-anchor are for rating files"
            )
        if columns or scale or skip_items:
            raise UserError(f"{paths[0]}: a study; --columns, --scale and --skip-item are for rating files")
        return LoadedRatings(study_ratings(paths[0], database))
    if database is not None:
        raise UserError(f"{paths[0]}: a rating file; --database is for a study folder")
    return LoadedRatings(
        read_ratings(
            paths, reference, low_anchor, mid_anchor, columns=columns, scale=scale, skip_items=skip_items
        )
    )  # fmt: skip


def report_folder(path: Path) -> Path:
    """Default folder for the report on a rating file or a folder of them: NAME-report beside it.

    Raises:
        UserError: if it is the root of the file system, which nothing is beside.
    """
    named = path if path.name not in ("", "..") else path.resolve()
    if not named.name:
        raise UserError(f"--ratings {path}: name a folder for the report by --out")
    return named.with_name(f"{named.name if named.is_dir() else named.stem}-report")


def _rates_for(ratings: Ratings, path: Path) -> pd.DataFrame:
    rates = read_rates(path)
    if not set(ratings.roles) & set(rates["condition"]):
        names = ", ".join(sorted(ratings.roles))
        raise UserError(f"--rates {path}: has none of the conditions {names}")
    return rates


def _is_study(path: Path) -> bool:
    """Whether to read a path as a study: a folder, unless it has no study.json and no run.json but rating files."""
    if not path.is_dir():
        return False
    return any((path / name).exists() for name in ("study.json", "run.json")) or not rating_files(path)
