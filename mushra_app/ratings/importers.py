"""Rating files of listening-test tools, read as Ratings.

Supported are the results of webMUSHRA (service/write.php), pymushra (download of its admin page), GoListen,
listen-and-rate (CSV and JSON), BeaqleJS and the Web Audio Evaluation Tool (XML); a table with the columns listener,
item, condition and score, or with a column per condition; and any other table, such as jsPsych's, by a map of its
columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.text import counted
from earmark.mushra_app.ratings import json_formats, scales
from earmark.mushra_app.ratings.checking import checked
from earmark.mushra_app.ratings.columns import ColumnMap
from earmark.mushra_app.ratings.combining import Part, combined, without_items
from earmark.mushra_app.ratings.errors import Errors, NoRatingsError
from earmark.mushra_app.ratings.mapped import require_valid
from earmark.mushra_app.ratings.readable import ReadRatings
from earmark.mushra_app.ratings.scales import Scale
from earmark.mushra_app.ratings.sources import RatingFile, files_of, skipped_note
from earmark.mushra_app.ratings.table import Ratings, assign_roles, excluded_by_hand
from earmark.mushra_app.ratings.tables import may_have_ratings, read_any_table
from earmark.mushra_app.ratings.text_table import DamagedTableError, decoded, is_parquet, read_table
from earmark.mushra_app.ratings.waet import read_waet
from earmark.mushra_app.study.study import Role


def read_ratings(
    source: Path | Sequence[Path],
    reference: str | None = None,
    low_anchor: str | None = None,
    mid_anchor: str | None = None,
    *,
    columns: ColumnMap | None = None,
    scale: Scale | None = None,
    skip_items: Sequence[str] = (),
) -> Ratings:
    """Read rating files of any supported format, which their content determines.

    Empty cells are no ratings. If a listener rated an item in a condition in several sessions, or in several files, the
    mean counts.

    Args:
        source: a rating file, a folder with one or more, or several of either. Files of a folder that hold no ratings
            are skipped, with a note.
        reference, low_anchor, mid_anchor: conditions with these roles; default: those with a usual name.
        columns: headings of a table: "listener", "item", "condition", "score"; "conditions", a list, for a column per
            condition, or "stimulus" for the name of an audio file, ITEM-CONDITION or ITEM_CONDITION; also "category",
            "comment", "seconds", "session".
        scale: lowest and highest score; scores are mapped to 0 to 100. Default: as they are. A scale that the format
            defines precedes it.
        skip_items: items to leave out, such as practice; * and ? are wildcards.

    Raises:
        RatingsError: for all errors of the files at once: cells that are no numbers, scores outside the scale, empty
            names, repeated ratings, items to skip that do not exist. Rows count as in a spreadsheet.
        UserError: if a file is not a rating file, or a named condition does not exist.
    """
    require_valid(columns or {})
    files = files_of([source] if isinstance(source, Path) else source)
    errors = Errors()
    parts, said = _read_files(files, columns, scale, errors)
    frame, remarks = combined(parts)
    notes = [f"Read as a {name}." for name in dict.fromkeys(part.read.format for part in parts)]
    notes += [_note(text, names) for text, names in said.items()] + remarks
    if frame.empty:
        empty = sum(len(part.read.frame) for part in parts)
        raise UserError(f"{_shown(parts)}: no ratings{'; every cell for one is empty' if empty else ''}")
    frame, remarks = without_items(parts[0].path, frame, skip_items, errors)
    errors.raise_if_any()
    if scale is None:
        kept = frame["item"].unique()
        remarks += scales.hints({
            str(part.path): part.frame.loc[part.frame["item"].isin(kept), "score"]
            for part in parts if part.read.scale is None
        })  # fmt: skip
    named: dict[Role, str | None] = {
        "hidden reference": reference, "low anchor": low_anchor, "mid anchor": mid_anchor
    }  # fmt: skip
    conditions = set(frame["condition"].unique())
    by_file = _roles_by_file(parts, conditions, named)
    roles, role_notes = assign_roles(conditions, {**named, **by_file}, str(parts[0].path), by_file=by_file)
    shown = _shown(parts)
    return Ratings(frame, roles, shown, (*notes, *remarks, *role_notes), excluded=excluded_by_hand(frame))


def _read_files(
    files: Sequence[RatingFile], columns: ColumnMap | None, scale: Scale | None, errors: Errors
) -> tuple[list[Part], dict[str, list[str]]]:
    """Ratings of each file, and notes -> names of the files that they are about.

    Files without ratings that were found in a folder are skipped, unless there are no others.

    Raises:
        RatingsError: for all errors of all files.
    """
    parts: list[Part] = []
    said: dict[str, list[str]] = {}
    skipped: dict[Path, str] = {}
    with progress("read ratings", len(files)) as advance:
        for path, in_folder in files:
            try:
                read, encoding = _read(path, columns, errors)
            except UserError as error:
                if in_folder and isinstance(error, NoRatingsError):
                    skipped[path] = str(error)
                else:
                    errors.found.append(str(error))
                advance(path.name)
                continue
            frame, remarks = checked(path, read, scale, errors)
            parts.append(Part(path, read, frame))
            for note in [*([] if encoding in ("UTF-8", "") else [f"read as {encoding}."]), *read.notes, *remarks]:
                said.setdefault(note, []).append(path.name)
            advance(path.name)
    if not parts:
        errors.found += skipped.values()
    errors.raise_if_any()
    return parts, ({skipped_note(skipped): [], **said} if skipped else said)


def _roles_by_file(
    parts: Iterable[Part], conditions: Collection[str], named: Mapping[Role, str | None]
) -> dict[Role, str]:
    """Roles that the files name, unless the user names the role or the condition."""
    taken = {name for name in named.values() if name is not None}
    roles: dict[Role, str] = {}
    for part in parts:
        for role, name in part.read.roles.items():
            if named[role] is None and role not in roles and name in conditions and name not in taken:
                roles[role] = name
                taken.add(name)
    return roles


def _note(text: str, files: Sequence[str]) -> str:
    """A note, with the files that it is about if it does not begin a sentence."""
    if text[0].isupper():
        return text
    more = f" and {counted(len(files) - 1, 'other file')}" if len(files) > 1 else ""
    return f"{files[0]}{more}: {text}"


def _shown(parts: Sequence[Part]) -> str:
    first = parts[0].path.name
    return first if len(parts) == 1 else f"{first} and {counted(len(parts) - 1, 'other file')}"


def _read(path: Path, columns: ColumnMap | None, errors: Errors) -> tuple[ReadRatings, str]:
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
    try:
        table = read_table(path, text)
    except DamagedTableError as error:
        if may_have_ratings(error.headings, columns):
            raise
        raise NoRatingsError(str(error)) from error
    if table.empty and not may_have_ratings(table.columns, columns):
        raise NoRatingsError(f"{path}: has one line and no ratings")
    return read_any_table(path, _filled(path, table), columns, errors), encoding


def _filled(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        raise UserError(f"{path}: has headings only and no ratings")
    return table
