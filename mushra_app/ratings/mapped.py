"""Tables whose columns the user names by --columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean
from earmark.codec.text import counted
from earmark.mushra_app.ratings import columns as parts
from earmark.mushra_app.ratings.columns import MAPPED, USUAL, ColumnMap
from earmark.mushra_app.ratings.errors import Errors, NoRatingsError
from earmark.mushra_app.ratings.readable import ReadRatings
from earmark.mushra_app.ratings.scales import is_empty
from earmark.mushra_app.ratings.stimulus_names import AUDIO_NAME, grid_separator
from earmark.mushra_app.ratings.text_table import tidied
from earmark.mushra_app.ratings.wide import condition_columns, is_mostly_numbers, read_wide


def require_valid(columns: ColumnMap) -> None:
    """Raise UserError if a map has other names than --columns, or names two forms of table at once."""
    for name in columns:
        if name not in MAPPED:
            raise UserError(f"--columns {name}: no such name; the names are {', '.join(MAPPED)}"
                            f"{did_you_mean(name, MAPPED)}")  # fmt: skip
    for one, others in (("conditions", ("condition", "score", "stimulus")), ("stimulus", ("item", "condition"))):
        clash = [name for name in others if name in columns]
        if one in columns and clash:
            raise UserError(f"--columns {one}: not together with {clash[0]}; name either")


def read_mapped(path: Path, table: pd.DataFrame, columns: ColumnMap, errors: Errors) -> ReadRatings:
    """Ratings of a table whose columns the user named; rows without item or condition are no ratings.

    Columns that the map leaves out have their usual headings. The file is the listener if none of them is.

    Raises:
        NoRatingsError: if no heading exists.
        UserError: if a heading does not exist or occurs twice, or a column is missing.
    """
    wanted = {name: value for name, value in columns.items() if name != "conditions" and isinstance(value, str)}
    given = columns.get("conditions", ())
    given = [given] if isinstance(given, str) else given
    if not {parts.alike(heading) for heading in table.columns} & {*map(parts.alike, (*wanted.values(), *given))}:
        raise NoRatingsError(
            f"{path}: has none of the columns named by --columns; it has {parts.listed(table.columns)}"
        )
    names = {name: parts.heading_of(path, table, name, heading) for name, heading in wanted.items()}
    chosen = [parts.heading_of(path, table, "conditions", heading) for heading in given]
    usual = _usual_columns(path, table, columns, {*names.values(), *chosen})
    names |= usual
    notes = []
    if usual:
        shown = ", ".join(f"{name} is {heading}" for name, heading in usual.items())
        notes.append(f"Columns that --columns does not name: {shown}.")
    is_wide = not {"condition", "score", "stimulus"} & names.keys()
    conditions = chosen or (condition_columns(table, names) if is_wide and "item" in names else [])
    if "item" in names and (chosen or len(conditions) >= 2):
        read = read_wide(path, table, names, conditions, errors, named=bool(chosen))
    else:
        needed = {*names, "listener", *(("item", "condition") if "stimulus" in names else ())}
        parts.require_columns(path, table, {*needed, "condition", "score"} if chosen else needed)
        read = _read_rows(path, table, names, errors)
    read.notes[:0] = notes
    return read


def _usual_columns(path: Path, table: pd.DataFrame, columns: ColumnMap, used: set[str]) -> dict[str, str]:
    """Columns that the user did not name -> their usual headings in the table."""
    needed = {
        "listener": True,
        "item": "stimulus" not in columns,
        "condition": not {"stimulus", "conditions"} & columns.keys(),
        "score": "conditions" not in columns,
        "session": True,
    }
    layout = {name: USUAL[name] for name, is_needed in needed.items() if is_needed and name not in columns}
    usual = parts.named_columns(path, table, layout)
    usual = {name: heading for name, heading in usual.items() if heading not in used}
    if "listener" in usual and (tidied(table[usual["listener"]]) == "").any():
        del usual["listener"]  # the rows of some listeners have none
    if "condition" in usual and not {"score"} & {*usual, *columns} and is_mostly_numbers(table[usual["condition"]]):
        del usual["condition"]  # a condition that is called "codec", say
    return usual


def _read_rows(path: Path, table: pd.DataFrame, names: Mapping[str, str], errors: Errors) -> ReadRatings:
    """Ratings of a table with a rating per row."""
    notes = []
    if "stimulus" in names:
        stimuli = tidied(table[names["stimulus"]]).map(lambda text: PurePosixPath(text.replace("\\", "/")).name)
        rated = ~is_empty(table[names["score"]])
        audio = stimuli.map(lambda name: AUDIO_NAME.fullmatch(name) is not None)
        other = (stimuli != "") & ~audio
        if (audio & rated).any() and other.any():  # pages, buttons and questions have stimuli, too
            notes.append(f"{counted(int(other.sum()), 'row')} whose stimulus is no audio file skipped.")
            table, stimuli, rated = table[~other], stimuli[~other], rated[~other]
        stimuli = stimuli.map(lambda name: match[1] if (match := AUDIO_NAME.fullmatch(name)) else name)
        separator = grid_separator(path, sorted(set(stimuli[(stimuli != "") & rated])))
        split = stimuli.map(lambda name: name.partition(separator))
        table = table.assign(**{" item": split.str[0], " condition": split.str[2]})
        names = {**names, "item": " item", "condition": " condition"}
    is_rating = (tidied(table[names["item"]]) != "") & (tidied(table[names["condition"]]) != "")
    if not is_rating.all():
        notes.append(f"{counted(int((~is_rating).sum()), 'row')} without item or condition skipped.")
    frame = parts.renamed(path, table[is_rating], names, errors)
    return ReadRatings(frame, "table with the columns named by --columns", notes, names_listeners="listener" in names)
