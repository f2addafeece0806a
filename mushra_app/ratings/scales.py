"""Scores from text, and scales other than 0 to 100."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.text import counted

Scale = tuple[float, float]  # lowest and highest score
FULL: Scale = (0.0, 100.0)
OTHERS: dict[Scale, str] = {(0.0, 1.0): "0-1", (1.0, 5.0): "1-5"}  # scales that are recognised -> value of --scale


def parse_scale(text: str) -> Scale:
    """Read the value of --scale, such as 1-5 or -3-3.

    Raises:
        UserError: if it is not two numbers, the lower one first.
    """
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|:|to)\s*(-?\d+(?:\.\d+)?)\s*", text)
    if match is None or float(match[1]) >= float(match[2]):
        raise UserError(f"--scale {text}: write the lowest and the highest score, as in 1-5 or 0-1")
    return float(match[1]), float(match[2])


def numbers(column: pd.Series[str]) -> pd.Series[float]:
    """Convert text to numbers, NaN where it is not one; reads "83,5" as 83.5, as many spreadsheets write it."""
    return pd.to_numeric(column.str.strip().str.replace(",", ".", regex=False), errors="coerce").astype(float)


# Text, in lower case, of a cell without a rating: R, pandas, spreadsheets, JSON and people write these.
EMPTY = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "-", "–", "—"})


def is_empty(column: pd.Series[str]) -> pd.Series[bool]:
    """Cells that hold no rating: blank, or a usual mark for a missing value such as NA."""
    return column.str.strip().str.lower().isin(EMPTY)


def mapped(scores: pd.Series[float], scale: Scale) -> pd.Series[float]:
    """Map scores linearly from a scale to 0 to 100."""
    low, high = scale
    return (scores - low) / (high - low) * 100


def hints(files: Mapping[str, pd.Series[float]]) -> list[str]:
    """Sentences on scales that scores, read as 0 to 100, may have instead; each file is judged on its own.

    Args:
        files: scores, by name of their file.
    """
    guesses = {name: _guess(scores) for name, scores in files.items()}
    found = {scale for scale in guesses.values() if scale is not None}
    if not found and files:
        whole = _guess(pd.concat(list(files.values())))  # files of one rating each say nothing on their own
        guesses = dict.fromkeys(files, whole)
        found = set() if whole is None else {whole}
    elif len(found) == 1:
        (scale,) = found
        constant = {name for name, scores in files.items() if scores.nunique() < 2 and scores.between(*scale).all()}
        guesses |= dict.fromkeys(constant, scale)
    sentences = []
    for scale in sorted(found):
        (low, high), names = scale, [name for name, guess in guesses.items() if guess == scale]
        if len(names) == len(files):
            sentences.append(
                f"All scores lie between {low:g} and {high:g}. They are shown as they are; if that is the scale, "
                f"--scale {OTHERS[scale]} maps it to 0 to 100."
            )
            continue
        more = f" and {counted(len(names) - 1, 'other file')}" if len(names) > 1 else ""
        sentences.append(
            f"{names[0]}{more}: all scores lie between {low:g} and {high:g}, unlike those of the other files. If that "
            "is another scale, map them to 0 to 100 first; --scale is for all files."
        )
    return sentences


def _guess(scores: pd.Series[float]) -> Scale | None:
    """The narrowest usual scale that holds all scores; None if there is none or too few scores."""
    if scores.nunique() < 2:
        return None
    return next((scale for scale in OTHERS if scores.between(*scale).all()), None)
