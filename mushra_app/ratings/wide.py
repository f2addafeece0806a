"""Tables with a row per listener and item, and a column per condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.columns import alike, renamed
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.readable import ReadRatings
from earmark.mushra_app.ratings.scales import is_empty, numbers

# Columns that are no conditions, although they hold numbers; see `columns.alike`.
NO_CONDITION = ("age", "date", "time", "timestamp", "duration", "order", "position", "trialindex", "trialnumber",
                "index", "row", "number", "timeelapsed", "rt")  # fmt: skip


def condition_columns(table: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Columns that hold numbers and have none of the usual headings of other things.

    Args:
        table: cells as text.
        names: our columns -> headings, which are no conditions.
    """
    other = set(names.values())
    return [
        heading
        for heading in table.columns
        if heading not in other and alike(heading) not in NO_CONDITION and is_mostly_numbers(table[heading])
    ]


def is_mostly_numbers(column: pd.Series[str] | pd.DataFrame) -> bool:
    """Whether more than half of the cells that are not empty are numbers; a mistyped one is an error later."""
    if isinstance(column, pd.DataFrame):
        return True  # two columns of this name, which is an error later
    filled = column[~is_empty(column)]
    return len(filled) > 0 and float(numbers(filled).notna().mean()) > 0.5


def read_wide(
    path: Path, table: pd.DataFrame, names: Mapping[str, str], conditions: Sequence[str], errors: Errors,
    *, named: bool = False,
) -> ReadRatings:  # fmt: skip
    """Read such a table.

    Args:
        path: the file.
        table: cells as text.
        names: our columns -> headings, without condition and score.
        conditions: headings of the columns with scores.
        errors: receives the errors of cells.
        named: whether the user named the conditions.

    Raises:
        UserError: if two conditions have the same name.
    """
    twice = [heading for heading in conditions if list(table.columns).count(heading) > 1]
    if twice:
        raise UserError(f"{path}: two columns are called {twice[0]}; keep one")
    frames = [renamed(path, table, {**names, "condition": heading, "score": heading}, errors).assign(condition=heading)
              for heading in conditions]  # fmt: skip
    ignored = [heading for heading in table.columns if heading not in {*names.values(), *conditions}]
    hint = "" if named else "; --columns conditions=NAME,... chooses them"
    notes = [f"Columns taken as conditions: {', '.join(conditions)}{hint}."]
    if ignored:
        notes.append(f"Columns ignored: {', '.join(ignored)}.")
    frame = pd.concat(frames).sort_values("row", kind="stable")
    return ReadRatings(frame, "table with a column per condition", notes, names_listeners="listener" in names)
