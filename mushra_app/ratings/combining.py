"""One table of the ratings of several files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from earmark.codec.suggestions import did_you_mean
from earmark.codec.text import counted
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.identity import require_one_person_per_name
from earmark.mushra_app.ratings.readable import KEY, ReadRatings
from earmark.mushra_app.ratings.sources import distinct_names
from earmark.mushra_app.ratings.text_table import tidy

PRACTICE = re.compile(r"practi[cs]e|train|warm.?up|familiari|example|demo", re.IGNORECASE)


class Part(NamedTuple):
    """Ratings of one file: as they were read, and with scores from 0 to 100, once each in a session."""

    path: Path
    read: ReadRatings
    frame: pd.DataFrame


def combined(parts: Sequence[Part]) -> tuple[pd.DataFrame, list[str]]:
    """One table of all files, with the mean over the sessions of a listener; and notes."""
    frames, notes = _with_distinct_listeners(parts)
    empty = sum(int(part.read.frame["score"].isna().sum()) for part in parts)
    if empty:
        notes.append(f"Ratings skipped because their cell is empty: {empty}.")
    frame = pd.concat([frame.drop(columns=["row", "column"]) for frame in frames], ignore_index=True)
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


def _with_distinct_listeners(parts: Sequence[Part]) -> tuple[list[pd.DataFrame], list[str]]:
    """Ratings by file; a listener without a name in a file gets the name of the file, which no other listener has."""
    named = [part for part in parts if part.read.names_listeners]
    require_one_person_per_name({part.path: part.frame["listener"] for part in named})
    unnamed = [part.path for part in parts if not part.read.names_listeners]
    if len(parts) == 1 or not unnamed:
        return [part.frame for part in parts], []
    taken = {name for part in named for name in part.frame["listener"].unique()}
    names = dict(zip(unnamed, distinct_names(unnamed, taken), strict=True))
    frames = []
    for path, read, frame in parts:
        if not read.names_listeners:
            several = frame["listener"].nunique() > 1
            frame = frame.assign(listener=(names[path] + "/" + frame["listener"]) if several else names[path])
        frames.append(frame)
    return frames, [f"Listeners whom their file does not name are called after it, such as {names[unnamed[0]]}."]


def without_items(
    path: Path, frame: pd.DataFrame, skip: Sequence[str], errors: Errors
) -> tuple[pd.DataFrame, list[str]]:
    """The table without some items, and notes on them and on items that look like practice.

    Args:
        path: file for error messages.
        frame: ratings.
        skip: items to leave out; * and ? are wildcards.
        errors: receives an error for each of `skip` that is no item.
    """
    items = list(frame["item"].unique())
    skipped: set[str] = set()
    for pattern in skip:
        matches = {pattern} & {*items} or {item for item in items if _wildcard(pattern).fullmatch(item)}
        if not matches:
            some = ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")
            errors.add(path, f"--skip-item {pattern}: no such item; there are {some}{did_you_mean(pattern, items)}")
        skipped |= matches
    notes = []
    if skipped:
        notes.append(f"Items skipped: {', '.join(item for item in items if item in skipped)}.")
    practice = [tidy(item) for item in items if PRACTICE.search(item) and item not in skipped]
    if practice:
        notes.append(f"These items look like practice: {', '.join(practice)}. --skip-item NAME leaves one out.")
    if items and skipped >= {*items}:
        errors.add(path, f"--skip-item skips every item ({', '.join(items[:5])}{', ...' if len(items) > 5 else ''})")
    return frame[~frame["item"].isin(skipped)].reset_index(drop=True) if skipped else frame, notes


def _wildcard(pattern: str) -> re.Pattern[str]:
    """A pattern in which * stands for any text and ? for a character; all else for itself, brackets included."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
