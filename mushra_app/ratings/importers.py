"""Rating files of listening-test tools, read as Ratings.

Supported are the results of webMUSHRA (service/write.php), pymushra (download of its admin page), GoListen,
listen-and-rate (CSV and JSON), BeaqleJS and the Web Audio Evaluation Tool (XML); a table with the columns listener,
item, condition and score, or with a column per condition; and any other table, such as jsPsych's, by a map of its
columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.suggestions import did_you_mean
from earmark.codec.text import counted
from earmark.mushra_app.ratings import json_formats, scales
from earmark.mushra_app.ratings.columns import MOST_ERRORS
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.identity import require_one_person_per_name
from earmark.mushra_app.ratings.readable import KEY, ReadRatings
from earmark.mushra_app.ratings.scales import Scale
from earmark.mushra_app.ratings.table import Ratings, assign_roles, excluded_by_hand
from earmark.mushra_app.ratings.tables import read_any_table
from earmark.mushra_app.ratings.text_table import decoded, is_parquet, read_table, tidy
from earmark.mushra_app.ratings.waet import read_waet
from earmark.mushra_app.study.study import Role

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".parquet")  # of rating files in a folder
PRACTICE = re.compile(r"practi[cs]e|train|warm.?up|familiari|example|demo", re.IGNORECASE)


def read_ratings(
    source: Path | Sequence[Path],
    reference: str | None = None,
    low_anchor: str | None = None,
    mid_anchor: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    scale: Scale | None = None,
    skip_items: Sequence[str] = (),
) -> Ratings:
    """Read rating files of any supported format, which their content determines.

    Empty cells are no ratings. If a listener rated an item in a condition in several sessions, or in several files, the
    mean counts.

    Args:
        source: a rating file, a folder with one or more, or several of either.
        reference, low_anchor, mid_anchor: conditions with these roles; default: those with a usual name.
        columns: headings of a table: "listener", "item", "condition", "score", or "stimulus" for a name of item and
            condition; also "category", "comment", "seconds", "session".
        scale: lowest and highest score; scores are mapped to 0 to 100. Default: as they are.
        skip_items: items to leave out, such as practice; * and ? are wildcards.

    Raises:
        RatingsError: for all errors of the files at once: cells that are no numbers, scores outside the scale, empty
            names, repeated ratings, items to skip that do not exist. Rows count as in a spreadsheet.
        UserError: if a file is not a rating file, or a named condition does not exist.
    """
    paths = _files([source] if isinstance(source, Path) else source)
    errors = Errors()
    parts: list[tuple[Path, ReadRatings, pd.DataFrame]] = []
    said: dict[str, list[str]] = {}  # note -> files that it is about
    with progress("read ratings", len(paths)) as advance:
        for path in paths:
            try:
                read, encoding = _read(path, columns, errors)
            except UserError as error:
                errors.found.append(str(error))
                continue
            frame, remarks = _checked(path, read, scale, errors)
            parts.append((path, read, frame))
            for note in [*([] if encoding in ("UTF-8", "") else [f"read as {encoding}."]), *read.notes, *remarks]:
                said.setdefault(note, []).append(path.name)
            advance(path.name)
    errors.raise_if_any()
    frame, remarks = _combined(parts)
    notes = [f"Read as a {name}." for name in dict.fromkeys(read.format for _, read, _ in parts)]
    notes += [_note(text, files) for text, files in said.items()] + remarks
    frame, remarks = _without_items(paths, frame, skip_items, errors)
    errors.raise_if_any()
    if frame.empty:
        raise UserError(f"{paths[0]}: has no ratings")
    if scale is None and (hint := scales.hint(frame["score"])) is not None:
        remarks.append(hint)
    named: dict[Role, str | None] = {
        "hidden reference": reference, "low anchor": low_anchor, "mid anchor": mid_anchor
    }  # fmt: skip
    typed = {role: name for _, read, _ in parts for role, name in read.roles.items()}
    conditions = set(frame["condition"].unique())
    named = {role: name or (typed[role] if typed.get(role) in conditions else None) for role, name in named.items()}
    roles, role_notes = assign_roles(conditions, named, str(paths[0]))
    shown = _shown(paths)
    return Ratings(frame, roles, shown, (*notes, *remarks, *role_notes), excluded=excluded_by_hand(frame))


def _note(text: str, files: Sequence[str]) -> str:
    """A note, with the files that it is about if it does not begin a sentence."""
    if text[0].isupper():
        return text
    more = f" and {counted(len(files) - 1, 'other file')}" if len(files) > 1 else ""
    return f"{files[0]}{more}: {text}"


def _files(sources: Iterable[Path]) -> list[Path]:
    """Files, and the rating files in folders.

    Raises:
        UserError: if a folder is a study, or has no rating file.
    """
    files: list[Path] = []
    for source in sources:
        if not source.is_dir():
            files.append(source)
            continue
        if (source / "study.json").exists():
            raise UserError(f"{source}: a study; name it without --ratings")
        inside = rating_files(source)
        if not inside:
            raise UserError(f"{source}: not readable as ratings: no {', '.join(SUFFIXES)} file in it")
        files += inside
    return list(dict.fromkeys(files))


def rating_files(folder: Path) -> list[Path]:
    """Files in a folder and its sub-folders that may be rating files, by their extension."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _shown(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {counted(len(paths) - 1, 'other file')}"


def _read(path: Path, columns: Mapping[str, str] | None, errors: Errors) -> tuple[ReadRatings, str]:
    """Ratings of a file, and its encoding ("" if it is no text)."""
    if is_parquet(path):
        return read_any_table(path, _filled(path, read_table(path)), columns, errors), ""
    text, encoding = decoded(path)
    start = text.lstrip()[:1]
    if start == "<":
        return read_waet(path, text, errors), encoding
    if start in ("[", "{"):
        data = json_formats.parse_json(path, text)
        if json_formats.is_beaqlejs(data):
            return json_formats.read_beaqlejs(path, data, errors), encoding
        return read_any_table(path, _filled(path, json_formats.as_table(path, data)), columns, errors), encoding
    return read_any_table(path, _filled(path, read_table(path, text)), columns, errors), encoding


def _filled(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        raise UserError(f"{path}: has headings only and no ratings")
    return table


def _checked(path: Path, read: ReadRatings, scale: Scale | None, errors: Errors) -> tuple[pd.DataFrame, list[str]]:
    """Ratings with a score from 0 to 100, once each in a session; and notes."""
    frame, notes = read.frame, []
    frame = frame[frame["score"].notna()]
    low, high = scale or read.scale or scales.FULL
    outside = frame[~frame["score"].between(low, high)]
    for row, column, score in list(zip(outside["row"], outside["column"], outside["score"], strict=True))[:MOST_ERRORS]:
        where = f"row {row}" if isinstance(row, int) else str(row)
        errors.add(path, f"{where}, column {column}: “{score:g}” is outside the scale of {low:g} to {high:g}")
    if (low, high) != scales.FULL:
        frame = frame.assign(score=scales.mapped(frame["score"], (low, high)))
        notes.append(f"scores from {low:g} to {high:g} mapped to 0 to 100.")
    key = [*KEY, "session"] if "session" in frame else KEY
    again = frame.duplicated(key)
    if again.any() and read.resubmits:
        notes.append(
            f"Ratings that a session submitted more than once: {int(again.sum())}; the last submission counts."
        )
        frame = frame.drop_duplicates(key, keep="last")
    elif again.any():
        first = frame.drop_duplicates(key).set_index(key)["row"]
        for row in frame[again].head(MOST_ERRORS).to_dict("records"):
            errors.add(
                path,
                f"row {row['row']}: listener {row['listener']} rated item {row['item']} in condition "
                f"{row['condition']} in row {first[tuple(row[name] for name in key)]}; keep one of them, or add a "
                "column session",
            )
    return frame, notes


def _combined(parts: Sequence[tuple[Path, ReadRatings, pd.DataFrame]]) -> tuple[pd.DataFrame, list[str]]:
    """One table of all files, with the mean over the sessions of a listener; and notes."""
    frames, notes = [], []
    require_one_person_per_name({path: frame["listener"] for path, read, frame in parts if read.names_listeners})
    for path, read, frame in parts:
        if len(parts) > 1 and not read.names_listeners:
            several = frame["listener"].nunique() > 1
            frame = frame.assign(listener=(path.stem + "/" + frame["listener"]) if several else path.stem)
        frames.append(frame.drop(columns=["row", "column"]))
    unnamed = [path.stem for path, read, _ in parts if not read.names_listeners]
    if len(parts) > 1 and unnamed:
        notes.append(f"Listeners whom their file does not name are called after it, such as {unnamed[0]}.")
    empty = sum(int(read.frame["score"].isna().sum()) for _, read, _ in parts)
    if empty:
        notes.append(f"Ratings skipped because their cell is empty: {empty}.")
    frame = pd.concat(frames, ignore_index=True)
    for column, missing in (("category", "uncategorised"), ("comment", ""), ("excluded", ""), ("excluded_by", "")):
        if column in frame:
            frame[column] = frame[column].fillna(missing)
    repeated = frame.duplicated(KEY, keep=False)
    if repeated.any():
        listeners = frame.loc[repeated, "listener"].nunique()
        means = frame.groupby(KEY, sort=False)["score"].mean().rename("score").reset_index()
        frame = frame.drop(columns="score").drop_duplicates(KEY).merge(means, on=KEY)
        notes.append(
            f"{counted(listeners, 'listener')} rated in several sessions: the mean counts for "
            f"{counted(int(frame.shape[0] - (~repeated).sum()), 'rating')}. If they are different people, give them "
            "different names."
        )
    order = [*KEY, "score"]
    rest = [name for name in ("category", "comment", "seconds", "excluded", "excluded_by") if name in frame]
    return frame[order + rest].reset_index(drop=True), notes


def _without_items(
    paths: Sequence[Path], frame: pd.DataFrame, skip: Sequence[str], errors: Errors
) -> tuple[pd.DataFrame, list[str]]:
    """The table without some items, and notes on them and on items that look like practice."""
    items = list(frame["item"].unique())
    skipped: set[str] = set()
    for pattern in skip:
        matches = {item for item in items if fnmatchcase(item, pattern)}
        if not matches:
            some = ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")
            errors.add(paths[0], f"--skip-item {pattern}: no such item; there are {some}{did_you_mean(pattern, items)}")
        skipped |= matches
    notes = []
    if skipped:
        notes.append(f"Items skipped: {', '.join(item for item in items if item in skipped)}.")
    practice = [tidy(item) for item in items if PRACTICE.search(item) and item not in skipped]
    if practice:
        notes.append(f"These items look like practice: {', '.join(practice)}. --skip-item NAME leaves one out.")
    return frame[~frame["item"].isin(skipped)].reset_index(drop=True) if skipped else frame, notes
