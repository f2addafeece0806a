"""Ratings for Python callers: `earmark.load_ratings` reads them, and the object it returns writes the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.importers import read_ratings
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

    def report(self, folder: str | Path, screen: str = "paper") -> Report:
        """Screen the listeners, analyse the ratings and write the report to a folder.

        The folder receives report.html, summary.csv, listeners.csv, comparisons.csv and the plots as SVG, PDF and PNG;
        a study built from a run adds metrics.csv. Existing files of these names are replaced.

        Args:
            folder: output folder, created if missing.
            screen: rule that drops listeners: "paper" (EnCodec paper, section 4.3), "bs1534" (ITU-R BS.1534-3, 4.1.2),
                "bs1534-iqr" (the same with its outlier criterion) or "none".

        Returns:
            The paths written and the results as tables, e.g. `summary`, one row per condition and category.

        Raises:
            UserError: the rule does not exist, or the folder cannot be written.
        """
        return write_report(self._ratings, screen, Path(folder))

    def __repr__(self) -> str:
        ratings = self._ratings
        listeners, items = (ratings.frame[name].nunique() for name in ("listener", "item"))
        return (
            f"<LoadedRatings {ratings.source!r}: {len(ratings.frame)} ratings, {listeners} listeners, {items} items, "
            f"{len(ratings.roles)} conditions>"
        )


def load_ratings(
    path: str | Path,
    *,
    reference: str | None = None,
    low_anchor: str | None = None,
    mid_anchor: str | None = None,
    database: str | None = None,
) -> LoadedRatings:
    """Load the ratings of a study or of a rating file.

    Rating files are CSV or Parquet: results of webMUSHRA, pymushra and GoListen, or a long table with the columns
    listener, item, condition and score. The column names decide which it is.

    Args:
        path: study folder, or rating file.
        reference: condition that is the hidden reference; default: the one with a usual name, e.g. "reference".
        low_anchor: condition that is the low anchor; default: as above, e.g. "anchor35".
        mid_anchor: condition that is the mid anchor; default: as above, e.g. "anchor70".
        database: SQLAlchemy URL of the study's ratings; default: ratings.sqlite in the study folder.

    Returns:
        The ratings, with `table`, `roles`, `notes` and `report`.

    Raises:
        UserError: the file is not a rating file or holds an invalid rating, a named condition does not exist, the
            study has no ratings yet, or an argument does not apply to the path.

    Examples:
        >>> ratings = earmark.load_ratings("webmushra.csv", low_anchor="LP3500")
        >>> ratings.table.groupby("condition")["score"].mean()
        >>> ratings.report("report/", screen="bs1534").summary
    """
    path = Path(path)
    if path.is_dir():
        if reference or low_anchor or mid_anchor:
            raise UserError(
                f"{path}: a study defines its own reference and anchors; "
                "--reference, --low-anchor and --mid-anchor are for rating files"
            )
        return LoadedRatings(study_ratings(path, database))
    if database is not None:
        raise UserError(f"{path}: a rating file; --database is for a study folder")
    return LoadedRatings(read_ratings(path, reference=reference, low_anchor=low_anchor, mid_anchor=mid_anchor))
