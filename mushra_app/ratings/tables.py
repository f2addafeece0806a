"""Rating tables: webMUSHRA, pymushra, GoListen, listen-and-rate, a rating per row, a column per condition, or a map."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.ratings import columns as parts
from earmark.mushra_app.ratings.columns import AUDIO_NAME, Layout, grid_separator
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.identity import separated
from earmark.mushra_app.ratings.readable import KEY, ReadRatings
from earmark.mushra_app.ratings.scales import numbers
from earmark.mushra_app.ratings.text_table import tidied

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
# Columns of a table with a column per condition that are no conditions, although they hold numbers.
NO_CONDITION = ("age", "date", "time", "timestamp", "duration", "order", "position", "trial_index", "trial_number",
                "index", "row", "number", "time_elapsed", "rt")  # fmt: skip


def read_any_table(path: Path, table: pd.DataFrame, columns: Mapping[str, str] | None, errors: Errors) -> ReadRatings:
    """Read a table whose headings determine its format.

    Args:
        table: cells as text; see `text_table.read_table`.
        columns: map of our columns to headings, given by the user; None to determine the format.

    Raises:
        UserError: if the headings are none of a rating table.
    """
    if columns:
        return _read_mapped(path, table, columns, errors)
    if _has(path, table, "trial_id", "rating_stimulus", "rating_score"):
        table, remarks = _with_webmushra_sessions(path, table)
        read = _read_long(path, table, WEBMUSHRA, "webMUSHRA result file", errors)
        read.notes[:0] = remarks
        read.names_listeners &= not remarks
        return read
    if _has(path, table, "wm_id", "wm_type", "responses_stimulus", "responses_score"):
        return _read_long(path, table[table["wm_type"] == "mushra"], PYMUSHRA, "pymushra result file", errors)
    if sum(AUDIO_NAME.fullmatch(heading) is not None for heading in table.columns) >= 2:
        return _read_golisten(path, table, errors)
    names = parts.named_columns(path, table, LONG.columns)
    if "score" not in names and "condition" in names and _is_mostly_numbers(table[names["condition"]]):
        del names["condition"]  # a condition that is called "codec", say
    if {"listener", "item"} <= names.keys() and not {"condition", "score"} & names.keys():
        conditions = _condition_columns(table, names)
        if len(conditions) >= 2:
            return _read_wide(path, table, names, conditions, errors)
    if {"session_id", "test_type"} <= set(table.columns):
        return _read_long(path, table, LONG, "listen-and-rate result file", errors)
    return _read_long(path, table, LONG, "long table", errors)


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
    names = parts.named_columns(path, table, layout.columns)
    parts.require_columns(path, table, names)
    frame = _renamed(path, table, names, errors, layout.seconds_per_unit)
    if layout is LONG:
        frame["listener"] = separated(path, table, frame["listener"])
    return ReadRatings(frame, name, names_listeners=_has_names(table, names), resubmits=layout.resubmits)


def _renamed(
    path: Path, table: pd.DataFrame, names: Mapping[str, str], errors: Errors, seconds_per_unit: float = 1.0
) -> pd.DataFrame:
    """Our columns of a table with a rating per row.

    Args:
        names: our column -> heading.
    """
    score = parts.scores(path, table[names["score"]], errors)
    rated = table[names["score"]].str.strip() != ""
    frame = pd.DataFrame({name: parts.identifiers(path, table[names[name]], rated, errors) for name in KEY})
    frame = frame.assign(score=score, row=table.index, column=names["score"])
    if "category" in names and (category := parts.categories(path, table[names["category"]], errors)) is not None:
        frame["category"] = category
    for column in ("comment", "excluded", "excluded_by", "session"):
        if column in names:
            frame[column] = table[names[column]]
    if "seconds" in names:
        frame["seconds"] = (numbers(table[names["seconds"]]) * seconds_per_unit).astype(float)
    return frame


def _condition_columns(table: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Columns that hold numbers and have none of the usual headings of other things."""
    other = set(names.values())
    return [
        heading
        for heading in table.columns
        if heading not in other and heading.lower() not in NO_CONDITION and _is_mostly_numbers(table[heading])
    ]


def _is_mostly_numbers(column: pd.Series[str] | pd.DataFrame) -> bool:
    """Whether more than half of the cells that are not empty are numbers; a mistyped one is an error later."""
    if isinstance(column, pd.DataFrame):
        return True  # two columns of this name, which is an error later
    filled = column[column.str.strip() != ""]
    return len(filled) > 0 and float(numbers(filled).notna().mean()) > 0.5


def _read_wide(
    path: Path, table: pd.DataFrame, names: Mapping[str, str], conditions: list[str], errors: Errors
) -> ReadRatings:
    """Ratings of a table with a row per listener and item, and a column per condition."""
    twice = [heading for heading in conditions if conditions.count(heading) > 1]
    if twice:
        raise UserError(f"{path}: two columns are called {twice[0]}; keep one")
    frames = [_renamed(path, table, {**names, "condition": heading, "score": heading}, errors).assign(condition=heading)
              for heading in conditions]  # fmt: skip
    ignored = [heading for heading in table.columns if heading not in {*names.values(), *conditions}]
    notes = [f"Columns taken as conditions: {', '.join(conditions)}."]
    if ignored:
        notes.append(f"Columns ignored: {', '.join(ignored)}.")
    frame = pd.concat(frames).sort_values("row", kind="stable")
    return ReadRatings(frame, "table with a column per condition", notes, _has_names(table, names))


def _has_names(table: pd.DataFrame, names: Mapping[str, str]) -> bool:
    """Whether listeners have names that mean the same in other files: not just the number of their session."""
    heading = names["listener"]
    if heading.lower() not in LONG.columns["session"]:
        return True
    return not table[heading].str.strip().str.fullmatch(NUMBERED_SESSION).any()


def _read_mapped(path: Path, table: pd.DataFrame, wanted: Mapping[str, str], errors: Errors) -> ReadRatings:
    """Ratings of a table whose columns the user named; rows without item or condition are no ratings."""
    names = parts.mapped_columns(path, table, wanted)
    notes = []
    if "listener" not in names:
        table = table.assign(**{"": path.stem})
        names["listener"] = ""
    if "stimulus" in names:
        heading = names.pop("stimulus")
        stimuli = tidied(table[heading]).map(lambda text: PurePosixPath(text.replace("\\", "/")).name)
        stimuli = stimuli.map(lambda name: match[1] if (match := AUDIO_NAME.fullmatch(name)) else name)
        known = sorted(set(stimuli[(stimuli != "") & (table[names["score"]].str.strip() != "")]))
        separator = grid_separator(path, known)
        split = stimuli.map(lambda name: name.partition(separator))
        table = table.assign(**{" item": split.str[0], " condition": split.str[2]})
        names |= {"item": " item", "condition": " condition"}
    parts.require_columns(path, table, names)
    is_rating = (tidied(table[names["item"]]) != "") & (tidied(table[names["condition"]]) != "")
    if not is_rating.all():
        notes.append(f"{counted(int((~is_rating).sum()), 'row')} without item or condition skipped.")
    frame = _renamed(path, table[is_rating], names, errors)
    return ReadRatings(
        frame, "table with the columns named by --columns", notes, names_listeners="" not in names.values()
    )


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
