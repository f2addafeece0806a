"""Scores from text, and scales other than 0 to 100."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from earmark.codec.errors import UserError

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


def hint(scores: pd.Series[float]) -> str | None:
    """A sentence on the scale that the scores, read as 0 to 100, may have instead; None if they look right."""
    values = scores.to_numpy()
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    for (low, high), name in OTHERS.items():
        if values.min() >= low and values.max() <= high:
            return (
                f"All scores lie between {low:g} and {high:g}. They are shown as they are; if that is the scale, "
                f"--scale {name} maps it to 0 to 100."
            )
    return None
