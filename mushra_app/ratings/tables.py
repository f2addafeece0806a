"""Rating tables: webMUSHRA, pymushra, GoListen, listen-and-rate, a rating per row, a column per condition, or a map."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings import columns as parts
from earmark.mushra_app.ratings.columns import ColumnMap, Layout, alike
from earmark.mushra_app.ratings.errors import Errors, NoRatingsError
from earmark.mushra_app.ratings.identity import separated
from earmark.mushra_app.ratings.mapped import read_mapped
from earmark.mushra_app.ratings.readable import KEY, ReadRatings
from earmark.mushra_app.ratings.stimulus_names import AUDIO_NAME, grid_separator
from earmark.mushra_app.ratings.wide import condition_columns, is_mostly_numbers, read_wide

WEBMUSHRA = Layout(
    {
        "listener": ("session_uuid",),
        "item": ("trial_id",),
        "condition": ("rating_stimulus",),
        "score": ("rating_score",),
        "comment": ("rating_comment",),
        "seconds": ("rating_time",),
    },
    seconds_per_unit=1e-3,
    resubmits=True,
)
PYMUSHRA = Layout(
    {
        "listener": ("questionaire_uuid",),
        "item": ("wm_id",),
        "condition": ("responses_stimulus",),
        "score": ("responses_score",),
        "comment": ("responses_comment",),
        "seconds": ("responses_time",),
    },
    seconds_per_unit=1e-3,
    resubmits=True,
)
LONG = Layout(parts.USUAL)
NUMBERED_SESSION = re.compile(r"[A-Za-z]*[-_ ]?\d{1,6}")  # no random identifier


def read_any_table(path: Path, table: pd.DataFrame, columns: ColumnMap | None, errors: Errors) -> ReadRatings:
    """Read a table whose headings determine its format.

    Args:
        table: cells as text; see `text_table.read_table`.
        columns: map of our columns to headings, given by the user; None to determine the format.

    Raises:
        NoRatingsError: if the headings are none of a rating table.
        UserError: if some are.
    """
    if columns:
        return read_mapped(path, table, columns, errors)
    if _has(path, table, "trial_id", "rating_stimulus", "rating_score"):
        table, remarks = _with_webmushra_sessions(path, table)
        read = _read_long(path, table, WEBMUSHRA, "webMUSHRA result file", errors)
        read.notes[:0] = remarks
        read.names_listeners &= not remarks
        return read
    if "session_test_id" in table.columns:
        raise NoRatingsError(f"{path}: a webMUSHRA result file without MUSHRA ratings, of pages of another type")
    if _has(path, table, "wm_id", "wm_type", "responses_stimulus", "responses_score"):
        return _read_long(path, table[table["wm_type"] == "mushra"], PYMUSHRA, "pymushra result file", errors)
    if sum(AUDIO_NAME.fullmatch(heading) is not None for heading in table.columns) >= 2:
        return _read_golisten(path, table, errors)
    names = parts.with_sessions_as_listeners(parts.named_columns(path, table, LONG.columns))
    if "score" not in names and "condition" in names and is_mostly_numbers(table[names["condition"]]):
        del names["condition"]  # a condition that is called "codec", say
    if {"listener", "item"} <= names.keys() and not {"condition", "score"} & names.keys():
        conditions = condition_columns(table, names)
        if len(conditions) >= 2:
            read = read_wide(path, table, names, conditions, errors)
            read.names_listeners = _has_names(table, names)
            return read
    if {"session_id", "test_type"} <= set(table.columns):
        return _read_long(path, table, LONG, "listen-and-rate result file", errors)
    return _read_long(path, table, LONG, "long table", errors)


def may_have_ratings(headings: Collection[str], columns: ColumnMap | None) -> bool:
    """Whether a table that is damaged below its headings had ratings, by its headings."""
    layouts = (LONG, WEBMUSHRA, PYMUSHRA)
    usual = {parts.alike(one) for layout in layouts for name in (*KEY, "score") for one in layout.columns[name]}
    given = [[value] if isinstance(value, str) else value for value in (columns or {}).values()]
    mapped = {parts.alike(one) for headings_of_one in given for one in headings_of_one}
    present = {*map(parts.alike, headings)}
    audio = [heading for heading in headings if AUDIO_NAME.fullmatch(heading)]
    return len(present & usual) >= 2 or len(audio) >= 2 or bool(present & mapped)


def _has(path: Path, table: pd.DataFrame, *headings: str) -> bool:
    """Whether the table has all these columns.

    Raises:
        UserError: if it has them all and one of them twice.
    """
    counts = [list(table.columns).count(heading) for heading in headings]
    if min(counts) > 0 and max(counts) > 1:
        raise UserError(f"{path}: two columns are called {headings[counts.index(max(counts))]}; keep one")
    return min(counts) > 0


def _with_webmushra_sessions(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add the column session_uuid, which older versions of webMUSHRA do not write, and a note if it was missing.

    Rows with the same answers to the questionnaire belong to one listener. If a stimulus occurs again in the same trial
    of that listener, it belongs to the listener's next session.
    """
    if "session_uuid" in table.columns:
        return table, []
    answers = table.iloc[:, : list(table.columns).index("trial_id")].drop(columns="session_test_id", errors="ignore")
    if answers.shape[1] == 0:
        raise UserError(f"{path}: no column distinguishes the listeners; add a column session_uuid")
    person = answers.agg("\n".join, axis="columns")
    visit = table.groupby([person, table["trial_id"], table["rating_stimulus"]]).cumcount()
    session = table.groupby([person, visit], sort=False).ngroup()
    names = parts.session_names(session.max() + 1)
    note = (
        f"The file does not name listeners: answers to the questionnaire ({', '.join(answers.columns)}) and repeated "
        f"trials distinguish {len(names)} sessions, named {names[0]} to {names[-1]}."
    )
    return table.assign(session_uuid=names[session.to_numpy()]), [note]


def _read_long(path: Path, table: pd.DataFrame, layout: Layout, name: str, errors: Errors) -> ReadRatings:
    """Columns of a table with a rating per row under our names."""
    names = parts.with_sessions_as_listeners(parts.named_columns(path, table, layout.columns))
    parts.require_columns(path, table, names)
    frame = parts.renamed(path, table, names, errors, layout.seconds_per_unit)
    if layout is LONG:
        frame["listener"] = separated(path, table, frame["listener"])
    return ReadRatings(frame, name, names_listeners=_has_names(table, names), resubmits=layout.resubmits)


def _has_names(table: pd.DataFrame, names: Mapping[str, str]) -> bool:
    """Whether listeners have names that mean the same in other files: not just the number of their session."""
    heading = names["listener"]
    if alike(heading) not in map(alike, LONG.columns["session"]):
        return True
    return not table[heading].str.strip().str.fullmatch(NUMBERED_SESSION).any()


def _read_golisten(path: Path, table: pd.DataFrame, errors: Errors) -> ReadRatings:
    """Ratings from a table with a row per session and a column per audio file; other columns are answers, ignored."""
    files = [heading for heading in table.columns if AUDIO_NAME.fullmatch(heading)]
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise UserError(f"{path}: two columns are called {twice}; keep one")
    names = {file: AUDIO_NAME.fullmatch(file)[1] for file in files}  # type: ignore[index]
    separator = grid_separator(path, list(names.values()))
    scores = pd.DataFrame({file: parts.scores(path, table[file], errors) for file in files})
    sessions = parts.session_names(len(scores))
    frame = scores.assign(listener=sessions, row=table.index).melt(
        id_vars=["listener", "row"], var_name="column", value_name="score"
    )
    for column, part in (("item", 0), ("condition", 2)):
        frame[column] = frame["column"].map({file: name.partition(separator)[part] for file, name in names.items()})
    item, _, condition = names[files[0]].partition(separator)
    notes = [
        f"The file does not name listeners: its {len(scores)} sessions are named {sessions[0]} to "
        f"{sessions[-1]}, in the order of the file.",
        f"Items and conditions come from the file names: {files[0]} is item “{item}” in condition “{condition}”.",
    ]
    frame = frame.sort_values("row", kind="stable")[[*KEY, "score", "row", "column"]]
    return ReadRatings(frame, "GoListen result file", notes, names_listeners=False)
