"""Columns of rating tables: their usual names, and valid values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.readable import KEY
from earmark.mushra_app.ratings.scales import numbers
from earmark.mushra_app.ratings.text_table import tidied, tidy

MOST_ERRORS = 1_000  # per column, so that a file of something else does not fill the terminal
# Our column -> headings, in lower case, of a table with a rating per row; the first one present counts.
USUAL: Mapping[str, tuple[str, ...]] = {
    "listener": ("listener", "listener_id", "metadata_listener", "participant", "participant_id", "subject",
                 "subject_id", "assessor", "rater", "worker_id", "prolific_pid"),
    "item": ("item", "item_id", "trial", "trial_id", "excerpt", "utterance", "sample", "sample_id"),
    "condition": ("condition", "system", "codec", "stimulus", "model", "method"),
    "score": ("score", "rating"),
    "category": ("category",),
    "comment": ("comment",),
    "seconds": ("seconds",),
    "session": ("session", "session_id", "repetition", "visit"),
    "excluded": ("excluded",),
    "excluded_by": ("excluded_by",),
}  # fmt: skip


MAPPED = (*KEY, "score", "stimulus", "category", "comment", "seconds", "session")  # names in --columns


def parse_columns(options: Iterable[str]) -> dict[str, str]:
    """Read the values of --columns, such as "listener=participant,score=slider.response".

    Raises:
        UserError: if one is not NAME=COLUMN, or there is no such name.
    """
    columns: dict[str, str] = {}
    for part in (part for text in options for part in text.split(",") if part.strip()):
        name, equals, heading = (piece.strip() for piece in part.partition("="))
        if not equals or not heading or name not in MAPPED:
            raise UserError(f"--columns {part.strip()}: write NAME=COLUMN; the names are {', '.join(MAPPED)}"
                            f"{did_you_mean(name, MAPPED)}")  # fmt: skip
        columns[name] = heading
    return columns


@dataclass(frozen=True)
class Layout:
    """Columns of a tool's table with a rating per row.

    Args:
        columns: our column -> the headings it may have, in lower case; the first one present counts.
        seconds_per_unit: unit of the column `seconds`.
        resubmits: see `ReadRatings`.
    """

    columns: Mapping[str, tuple[str, ...]]
    seconds_per_unit: float = 1.0
    resubmits: bool = False


def named_columns(path: Path, table: pd.DataFrame, columns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our columns -> headings of the table, for those that it has.

    Raises:
        UserError: if two columns have the same heading.
    """
    by_lower_case = pd.Series(table.columns, index=[heading.lower() for heading in table.columns], dtype="object")
    names: dict[str, str] = {}
    for column, headings in columns.items():
        matches = next((by_lower_case[[heading]] for heading in headings if heading in by_lower_case.index), None)
        if matches is None:
            continue
        if len(matches) > 1:
            raise UserError(f"{path}: two columns are called {matches.iloc[0]}; keep one")
        names[column] = matches.iloc[0]
    if "listener" not in names and "session" in names:
        names["listener"] = names.pop("session")
    return names


def mapped_columns(path: Path, table: pd.DataFrame, wanted: Mapping[str, str]) -> dict[str, str]:
    """Check a map given by the user against the table.

    Args:
        wanted: our column, or "stimulus" for a name of item and condition -> heading.

    Raises:
        UserError: if a heading does not exist or occurs twice.
    """
    for column, heading in wanted.items():
        count = list(table.columns).count(heading)
        if count != 1:
            fault = "two columns are" if count else "no column is"
            shown = "" if count else f"{did_you_mean(heading, table.columns)}; its columns are {_listed(table.columns)}"
            raise UserError(f"{path}: {fault} called {heading} (--columns {column}={heading}){shown}")
    return dict(wanted)


def require_columns(path: Path, table: pd.DataFrame, names: Collection[str]) -> None:
    """Raise UserError if one of the four columns of a rating has no name."""
    missing = [column for column in (*KEY, "score") if column not in names]
    if missing:
        raise UserError(
            f"{path}: no column for {', '.join(missing)}; its columns are {_listed(table.columns)}. A table needs "
            "listener, item, condition and score, or a column per condition; name yours by --columns"
        )


def _listed(headings: Sequence[str] | pd.Index) -> str:
    return ", ".join(headings[:12]) + (", ..." if len(headings) > 12 else "")


def identifiers(path: Path, column: pd.Series[str], rated: pd.Series[bool], errors: Errors) -> pd.Series[str]:
    """Names of listeners, items or conditions; an error where a rating has none."""
    names = tidied(column)
    empty = names.index[(names == "") & rated.to_numpy()]
    for row in empty[:MOST_ERRORS]:
        errors.add(path, f"row {row}, column {column.name}: empty; every rating needs one")
    return names


def scores(path: Path, column: pd.Series[str], errors: Errors) -> pd.Series[float]:
    """Convert text to scores, NaN for an empty cell; an error where a cell is something else."""
    text, values = column.str.strip(), numbers(column)
    bad = column.index[(values.isna() & (text != "")).to_numpy()]
    for row in bad[:MOST_ERRORS]:
        errors.add(path, f"row {row}, column {column.name}: “{tidy(column[row])}” is not a number")
    return values


def categories(path: Path, column: pd.Series[str], errors: Errors) -> pd.Series[str] | None:
    """Names of categories; None if all are "all", the row over all categories in tables."""
    category = tidied(column).replace("", "uncategorised")
    if (category != ALL).any() and (category == ALL).any():
        errors.add(path, f'category "{ALL}" is reserved for the row over all categories; rename it')
    return category if (category != ALL).any() else None


def session_names(count: int) -> np.ndarray:
    """Names of sessions whose listeners are unknown."""
    digits = max(2, len(str(count)))
    return np.array([f"session-{number:0{digits}d}" for number in range(1, count + 1)], dtype=object)


AUDIO_NAME = re.compile(r"(.+)\.(wav|flac|mp3|ogg|oga|opus|aiff?|m4a|aac|webm)", re.IGNORECASE)


def grid_separator(path: Path, names: Sequence[str]) -> str:
    """Character whose first occurrence splits every name into item and condition so that all pairs exist.

    Raises:
        UserError: if neither "-" nor "_" does.
    """
    for separator in "-_":
        pairs = {(item, condition) for item, _, condition in (name.partition(separator) for name in names)}
        items, conditions = {item for item, _ in pairs}, {condition for _, condition in pairs}
        is_grid = len(pairs) == len(names) == len(items) * len(conditions)
        if is_grid and len(conditions) > 1 and "" not in items | conditions:
            return separator
    shown = ", ".join(names[:2])
    raise UserError(
        f"{path}: its file names ({shown}, ...) are not ITEM-CONDITION with every item in every condition; convert it "
        "to a long table with listener, item, condition, score"
    )
