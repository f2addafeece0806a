"""Rating files of listening-test tools, read as Ratings.

Supported are the CSV files of webMUSHRA (service/write.php) and pymushra (download of its admin page), GoListen's wide
CSV, and a long table with the columns listener, item, condition and score; optional are category, comment, seconds,
and the columns excluded and excluded_by of our own exports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.ratings.table import Ratings, assign_roles, excluded_by_hand
from earmark.mushra_app.ratings.text_table import read_table, tidied, tidy
from earmark.mushra_app.study.study import Role

KEY = ["listener", "item", "condition"]
AUDIO_NAME = re.compile(r"(.+)\.(wav|flac|mp3|ogg|oga|opus|aiff?|m4a|aac|webm)", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Columns of a tool's long table.

    Args:
        columns: our column -> the headings it may have; the first one present counts.
        seconds_per_unit: unit of the column `seconds`.
        resubmits: whether the tool stores a session again if its listener presses "send" again.
    """

    columns: Mapping[str, tuple[str, ...]]
    seconds_per_unit: float = 1.0
    resubmits: bool = False


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
LONG = Layout(
    {
        "listener": ("listener", "listener_id", "participant", "participant_id", "subject", "subject_id", "assessor"),
        "item": ("item", "item_id", "trial", "trial_id", "excerpt"),
        "condition": ("condition", "system", "codec", "stimulus"),
        "score": ("score", "rating"),
        "category": ("category",),
        "comment": ("comment",),
        "seconds": ("seconds",),
        "excluded": ("excluded",),
        "excluded_by": ("excluded_by",),
    }
)


def read_ratings(
    path: Path, reference: str | None = None, low_anchor: str | None = None, mid_anchor: str | None = None
) -> Ratings:
    """Read a rating file of any supported format, which its headings determine.

    Args:
        path: CSV or Parquet file.
        reference, low_anchor, mid_anchor: conditions with these roles; default: those with a usual name.

    Raises:
        UserError: if it is not a rating file, a score is not a number from 0 to 100, a cell is empty, a listener rated
            an item twice in one condition, or a named condition does not exist. Rows count as in a spreadsheet.
    """
    table = read_table(path)
    if table.empty:
        raise UserError(f"{path}: has headings only and no ratings")
    frame, notes = _read_format(path, table)
    if frame.empty:
        raise UserError(f"{path}: has no ratings")
    named: dict[Role, str | None] = {
        "hidden reference": reference, "low anchor": low_anchor, "mid anchor": mid_anchor
    }  # fmt: skip
    roles, role_notes = assign_roles(frame["condition"].unique(), named, str(path))
    return Ratings(frame, roles, path.name, (*notes, *role_notes), excluded=excluded_by_hand(frame))


def _read_format(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Ratings under our column names, and notes, the first of which names the format."""
    if _has(path, table, "trial_id", "rating_stimulus", "rating_score"):
        name = "webMUSHRA result file"
        table, remarks = _with_webmushra_sessions(path, table)
        frame, notes = _from_long(path, table, WEBMUSHRA)
        notes = remarks + notes
    elif _has(path, table, "wm_id", "wm_type", "responses_stimulus", "responses_score"):
        name = "pymushra result file"
        frame, notes = _from_long(path, table[table["wm_type"] == "mushra"], PYMUSHRA)
    elif sum(AUDIO_NAME.fullmatch(heading) is not None for heading in table.columns) >= 2:
        name = "GoListen result file"
        frame, notes = _from_golisten(path, table)
    else:
        name = "long table"
        frame, notes = _from_long(path, table, LONG)
    return frame, [f"Read as a {name}.", *notes]


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
    names = _session_names(session.max() + 1)
    note = (
        f"The file does not name listeners: answers to the questionnaire ({', '.join(answers.columns)}) and repeated "
        f"trials distinguish {len(names)} sessions, named {names[0]} to {names[-1]}."
    )
    return table.assign(session_uuid=names[session.to_numpy()]), [note]


def _from_long(path: Path, table: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, list[str]]:
    """Columns of a long table under our names, with valid values, and notes."""
    by_lower_case = pd.Series(table.columns, index=[heading.lower() for heading in table.columns])
    names: dict[str, str] = {}
    for column, headings in layout.columns.items():
        matches = next((by_lower_case[[heading]] for heading in headings if heading in by_lower_case.index), None)
        if matches is None:
            continue
        if len(matches) > 1:
            raise UserError(f"{path}: two columns are called {matches.iloc[0]}; keep one")
        names[column] = matches.iloc[0]
    missing = [column for column in (*KEY, "score") if column not in names]
    if missing:
        shown = ", ".join(table.columns[:12]) + (", ..." if len(table.columns) > 12 else "")
        raise UserError(
            f"{path}: no column for {', '.join(missing)}; its columns are {shown}. A long table needs listener, item, "
            "condition, score; files of webMUSHRA, pymushra and GoListen are read unchanged"
        )
    frame = pd.DataFrame({column: _identifiers(path, table[names[column]]) for column in KEY})
    frame["score"] = _scores(path, table[names["score"]])
    if "category" in names:
        category = tidied(table[names["category"]]).replace("", "uncategorised")
        if (category != ALL).any():
            if (category == ALL).any():
                raise UserError(f'{path}: category "{ALL}" is reserved for the row over all categories; rename it')
            frame["category"] = category
    for column in {"comment", "excluded", "excluded_by"} & names.keys():
        frame[column] = table[names[column]]
    if "seconds" in names:
        seconds = _numbers(table[names["seconds"]])
        frame["seconds"] = (seconds * layout.seconds_per_unit).astype(float)
    return _once_each(path, frame, layout)


def _once_each(path: Path, frame: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, list[str]]:
    """Keep one rating per listener, item and condition: the last if the tool resubmits; otherwise it is an error."""
    again = frame.index[frame.duplicated(KEY)]
    if again.empty:
        return frame.reset_index(drop=True), []
    if not layout.resubmits:
        row = again[0]
        listener, item, condition = frame.loc[row, KEY]
        first = frame.index[(frame[KEY] == frame.loc[row, KEY]).all(axis=1)][0]
        raise UserError(
            f"{path}: row {row}: listener {listener} rated item {item} in condition {condition} in row {first}; "
            "keep one of them"
        )
    note = f"Ratings that a session submitted more than once: {len(again)}; the last submission counts."
    return frame.drop_duplicates(KEY, keep="last").reset_index(drop=True), [note]


def _from_golisten(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Ratings from a table with a row per session and a column per audio file; other columns are answers, ignored."""
    files = [heading for heading in table.columns if AUDIO_NAME.fullmatch(heading)]
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise UserError(f"{path}: two columns are called {twice}; keep one")
    names = {file: AUDIO_NAME.fullmatch(file)[1] for file in files}  # type: ignore[index]
    separator = _grid_separator(path, list(names.values()))
    scores = pd.DataFrame({file: _scores(path, table[file], may_be_empty=True) for file in files})
    scores.index = pd.Index(_session_names(len(scores)), name="listener")
    frame = scores.melt(var_name="file", value_name="score", ignore_index=False).reset_index()
    for column, part in (("item", 0), ("condition", 2)):
        frame[column] = frame["file"].map({file: name.partition(separator)[part] for file, name in names.items()})
    unrated = int(frame["score"].isna().sum())
    frame = frame.sort_values("listener", kind="stable").dropna(subset="score")
    item, _, condition = names[files[0]].partition(separator)
    notes = [
        f"The file does not name listeners: its {len(scores)} sessions are named {scores.index[0]} to "
        f"{scores.index[-1]}, in the order of the file.",
        f"Items and conditions come from the file names: {files[0]} is item “{item}” in condition “{condition}”.",
    ]
    if unrated:
        notes.append(f"Stimuli that a session did not rate (empty cells): {unrated}.")
    return frame[[*KEY, "score"]].reset_index(drop=True), notes


def _grid_separator(path: Path, names: list[str]) -> str:
    """Character whose first occurrence splits every file name into item and condition so that all pairs exist.

    Raises:
        UserError: if neither "-" nor "_" does.
    """
    for separator in "-_":
        pairs = {(item, condition) for item, _, condition in (name.partition(separator) for name in names)}
        items, conditions = {item for item, _ in pairs}, {condition for _, condition in pairs}
        is_grid = len(pairs) == len(names) == len(items) * len(conditions)
        if is_grid and len(conditions) > 1 and "" not in items | conditions:
            return separator
    raise UserError(
        f"{path}: its file names ({names[0]}, {names[1]}, ...) are not ITEM-CONDITION with every item in every "
        "condition; convert it to a long table with listener, item, condition, score"
    )


def _session_names(count: int) -> np.ndarray:
    digits = max(2, len(str(count)))
    return np.array([f"session-{number:0{digits}d}" for number in range(1, count + 1)], dtype=object)


def _identifiers(path: Path, column: pd.Series[str]) -> pd.Series[str]:
    names = tidied(column)
    empty = names.index[names == ""]
    if len(empty):
        raise UserError(f"{path}: row {empty[0]}, column {column.name}: empty; every rating needs one")
    return names


def _scores(path: Path, column: pd.Series[str], *, may_be_empty: bool = False) -> pd.Series[float]:
    """Convert text to scores from 0 to 100.

    Raises:
        UserError: if a cell is something else; names its row and column.
    """
    text, scores = column.str.strip(), _numbers(column)
    bad = ~scores.between(0, 100)
    if may_be_empty:
        bad &= text != ""
    if bad.any():
        row = bad.index[bad][0]
        rule = "not a number" if np.isnan(scores[row]) else "outside the scale of 0 to 100"
        what = f"“{tidy(column[row])}” is {rule}" if text[row] else "empty; delete the row if nothing was rated"
        raise UserError(f"{path}: row {row}, column {column.name}: {what}")
    return scores


def _numbers(column: pd.Series[str]) -> pd.Series[float]:
    """Convert text to numbers, NaN where it is not one; reads "83,5" as 83.5, as many spreadsheets write it."""
    return pd.to_numeric(column.str.strip().str.replace(",", ".", regex=False), errors="coerce").astype(float)
