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
from earmark.mushra_app.ratings.errors import Errors, NoRatingsError
from earmark.mushra_app.ratings.readable import KEY
from earmark.mushra_app.ratings.scales import is_empty, numbers
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


# Names in --columns; "stimulus" is a name of item and condition, "conditions" are columns of scores.
MAPPED = (*KEY, "score", "conditions", "stimulus", "category", "comment", "seconds", "session")
ColumnMap = Mapping[str, str | Sequence[str]]  # name -> heading; "conditions" -> headings


def parse_columns(options: Iterable[str]) -> dict[str, str | Sequence[str]]:
    """Read the values of --columns, such as "listener=participant,conditions=ref,opus".

    Raises:
        UserError: if one is not NAME=COLUMN, or there is no such name.
    """
    columns: dict[str, str | Sequence[str]] = {}
    conditions: list[str] = []
    for text in options:
        name = ""
        for part in (part for part in text.split(",") if part.strip()):
            before, equals, heading = (piece.strip() for piece in part.partition("="))
            if not equals and name == "conditions":
                conditions.append(before)
                continue
            name = before
            if not equals or not heading or name not in MAPPED:
                raise UserError(f"--columns {part.strip()}: write NAME=COLUMN; the names are {', '.join(MAPPED)}"
                                f"{did_you_mean(name, MAPPED)}")  # fmt: skip
            if name == "conditions":
                conditions.append(heading)
            else:
                columns[name] = heading
    return {**columns, "conditions": conditions} if conditions else columns


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


def alike(heading: str) -> str:
    """A heading without the differences that programs make: case, blanks, dashes, underscores and dots."""
    return re.sub(r"[\s_.-]+", "", heading.lower())


def named_columns(path: Path, table: pd.DataFrame, columns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our columns -> headings of the table, for those that it has.

    Raises:
        UserError: if two columns have the same heading.
    """
    by_lower_case = pd.Series(table.columns, index=[heading.lower() for heading in table.columns], dtype="object")
    by_likeness = pd.Series(table.columns, index=[alike(heading) for heading in table.columns], dtype="object")
    names: dict[str, str] = {}
    for column, headings in columns.items():
        matches = next((by_lower_case[[heading]] for heading in headings if heading in by_lower_case.index), None)
        if matches is None:
            likely = (alike(heading) for heading in headings)
            matches = next((by_likeness[[heading]] for heading in likely if heading in by_likeness.index), None)
        if matches is None:
            continue
        if len(matches) > 1:
            called = " and ".join(dict.fromkeys(matches))
            raise UserError(f"{path}: two columns are called {called}; keep one")
        names[column] = matches.iloc[0]
    return names


def with_sessions_as_listeners(names: Mapping[str, str]) -> dict[str, str]:
    """The same columns; without a column for the listener, that of the session is it."""
    if "listener" in names or "session" not in names:
        return dict(names)
    others = {name: heading for name, heading in names.items() if name != "session"}
    return {**others, "listener": names["session"]}


def heading_of(path: Path, table: pd.DataFrame, column: str, heading: str) -> str:
    """The heading of the table that the user means by --columns COLUMN=HEADING.

    Raises:
        UserError: if it does not exist or occurs twice.
    """
    count = list(table.columns).count(heading)
    likely = [one for one in table.columns if alike(one) == alike(heading)]
    if count == 1 or (count == 0 and len(likely) == 1):
        return heading if count else likely[0]
    fault = "two columns are" if count else "no column is"
    shown = "" if count else f"{did_you_mean(heading, table.columns)}; its columns are {listed(table.columns)}"
    raise UserError(f"{path}: {fault} called {heading} (--columns {column}={heading}){shown}")


def require_columns(path: Path, table: pd.DataFrame, names: Collection[str]) -> None:
    """Check that each of the four columns of a rating has a name.

    Raises:
        NoRatingsError: if most have none.
        UserError: if some have none.
    """
    missing = [column for column in (*KEY, "score") if column not in names]
    if missing:
        raise (NoRatingsError if len(missing) > 2 else UserError)(
            f"{path}: no column for {', '.join(missing)}; its columns are {listed(table.columns)}. A table needs "
            "listener, item, condition and score, or a column per condition; name yours by --columns"
        )


def listed(headings: Sequence[str] | pd.Index) -> str:
    """The first headings, for a message."""
    return ", ".join(headings[:12]) + (", ..." if len(headings) > 12 else "")


def renamed(
    path: Path, table: pd.DataFrame, names: Mapping[str, str], errors: Errors, seconds_per_unit: float = 1.0
) -> pd.DataFrame:
    """Our columns of a table with a rating per row.

    Args:
        names: our column -> heading; without "listener", the file is the listener.
    """
    score = scores(path, table[names["score"]], errors)
    rated = ~is_empty(table[names["score"]])
    frame = pd.DataFrame(
        {name: identifiers(path, table[names[name]], rated, errors) for name in KEY if name in names}, index=table.index
    )
    if "listener" not in names:
        frame.insert(0, "listener", path.stem)
    frame = frame.assign(score=score, row=table.index, column=names["score"])
    if "category" in names and (category := categories(path, table[names["category"]], errors)) is not None:
        frame["category"] = category
    for column in ("comment", "excluded", "excluded_by", "session"):
        if column in names:
            frame[column] = table[names[column]]
    if "seconds" in names:
        frame["seconds"] = (numbers(table[names["seconds"]]) * seconds_per_unit).astype(float)
    return frame


def identifiers(path: Path, column: pd.Series[str], rated: pd.Series[bool], errors: Errors) -> pd.Series[str]:
    """Names of listeners, items or conditions; an error where a rating has none."""
    names = tidied(column)
    empty = names.index[(names == "") & rated.to_numpy()]
    for row in empty[:MOST_ERRORS]:
        errors.add(path, f"row {row}, column {column.name}: empty; every rating needs one")
    return names


def scores(path: Path, column: pd.Series[str], errors: Errors) -> pd.Series[float]:
    """Convert text to scores, NaN for an empty cell; an error where a cell is something else."""
    values = numbers(column)
    bad = column.index[(values.isna() & ~is_empty(column)).to_numpy()]
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
