"""Checks of the ratings of one file: scores within the scale, and one rating per listener, item and condition."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from earmark.mushra_app.ratings import scales
from earmark.mushra_app.ratings.columns import MOST_ERRORS
from earmark.mushra_app.ratings.errors import Errors
from earmark.mushra_app.ratings.readable import KEY, ReadRatings
from earmark.mushra_app.ratings.scales import Scale

FEW = 10  # scores outside the scale that are listed one by one; more are of another scale


def checked(path: Path, read: ReadRatings, scale: Scale | None, errors: Errors) -> tuple[pd.DataFrame, list[str]]:
    """Ratings with a score from 0 to 100, once each in a session; and notes.

    Args:
        path: the file.
        read: its ratings.
        scale: scale that the user names; that of the format precedes it.
        errors: receives scores outside the scale, and repeated ratings.
    """
    frame, notes = read.frame, []
    frame = frame[frame["score"].notna()]
    _note_scores_outside(path, frame, read.scale, scale, errors)
    low, high = read.scale or scale or scales.FULL
    if (low, high) != scales.FULL:
        frame = frame.assign(score=scales.mapped(frame["score"], (low, high)))
        why = (
            ", as the format defines; --scale is for other files"
            if read.scale and scale not in (None, read.scale)
            else ""
        )
        notes.append(f"scores from {low:g} to {high:g} mapped to 0 to 100{why}.")
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


def _note_scores_outside(
    path: Path, frame: pd.DataFrame, defined: Scale | None, named: Scale | None, errors: Errors
) -> None:
    """Add an error for each score outside the scale, or one for all if they are many.

    Args:
        path: the file.
        frame: ratings with a score.
        defined: scale of the format.
        named: scale that the user names.
        errors: receives them.
    """
    low, high = defined or named or scales.FULL
    outside = frame[~frame["score"].between(low, high)]
    if defined:
        rule = f"the format's scale of {low:g} to {high:g}"
    elif named:
        rule = f"--scale {low:g}-{high:g}"
    else:
        rule = f"the scale of {low:g} to {high:g}; --scale names another"
    listed = [
        (f"row {row}" if isinstance(row, int) else str(row), column, score)
        for row, column, score in zip(outside["row"], outside["column"], outside["score"], strict=True)
    ]
    if len(listed) <= FEW:
        for where, column, score in listed:
            errors.add(path, f"{where}, column {column}: “{score:g}” is outside {rule}")
        return
    where, column, score = listed[0]
    lowest, highest = outside["score"].min(), outside["score"].max()
    errors.add(
        path,
        f"{len(listed)} scores, from {lowest:g} to {highest:g}, are outside {rule}; the first, “{score:g}”, is in "
        f"{where}, column {column}",
    )
