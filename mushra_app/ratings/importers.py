"""Rating files of listening-test tools, read as Ratings.

Supported are the results of webMUSHRA (service/write.php), pymushra (download of its admin page), GoListen,
listen-and-rate (CSV and JSON), BeaqleJS and the Web Audio Evaluation Tool (XML); a table with the columns listener,
item, condition and score, or with a column per condition; and any other table, such as jsPsych's, by a map of its
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.text import counted
from earmark.mushra_app.ratings import json_formats, scales
from earmark.mushra_app.ratings.columns import MOST_ERRORS, ColumnMap
from earmark.mushra_app.ratings.combining import Part, combined, without_items
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.mapped import require_valid
from earmark.mushra_app.ratings.readable import KEY, ReadRatings
from earmark.mushra_app.ratings.scales import Scale
from earmark.mushra_app.ratings.sources import files_of
from earmark.mushra_app.ratings.table import Ratings, assign_roles, excluded_by_hand
from earmark.mushra_app.ratings.tables import read_any_table
from earmark.mushra_app.ratings.text_table import decoded, is_parquet, read_table
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
        source: a rating file, a folder with one or more, or several of either.
        reference, low_anchor, mid_anchor: conditions with these roles; default: those with a usual name.
        columns: headings of a table: "listener", "item", "condition", "score"; "conditions", a list, for a column per
            condition, or "stimulus" for the name of an audio file, ITEM-CONDITION or ITEM_CONDITION; also "category",
            "comment", "seconds", "session".
        scale: lowest and highest score; scores are mapped to 0 to 100. Default: as they are.
        skip_items: items to leave out, such as practice; * and ? are wildcards.

    Raises:
        RatingsError: for all errors of the files at once: cells that are no numbers, scores outside the scale, empty
            names, repeated ratings, items to skip that do not exist. Rows count as in a spreadsheet.
        UserError: if a file is not a rating file, or a named condition does not exist.
    """
    require_valid(columns or {})
    paths = files_of([source] if isinstance(source, Path) else source)
    errors = Errors()
    parts: list[Part] = []
    said: dict[str, list[str]] = {}  # note -> files that it is about
    with progress("read ratings", len(paths)) as advance:
        for path in paths:
            try:
                read, encoding = _read(path, columns, errors)
            except UserError as error:
                errors.found.append(str(error))
                continue
            frame, remarks = _checked(path, read, scale, errors)
            parts.append(Part(path, read, frame))
            for note in [*([] if encoding in ("UTF-8", "") else [f"read as {encoding}."]), *read.notes, *remarks]:
                said.setdefault(note, []).append(path.name)
            advance(path.name)
    errors.raise_if_any()
    frame, remarks = combined(parts)
    notes = [f"Read as a {name}." for name in dict.fromkeys(read.format for _, read, _ in parts)]
    notes += [_note(text, files) for text, files in said.items()] + remarks
    frame, remarks = without_items(paths[0], frame, skip_items, errors)
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


def _shown(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {counted(len(paths) - 1, 'other file')}"


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
