"""The scale of a metric's scores: its direction, the categories that share it, the decimals that resolve it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.metrics import registry
from earmark.eval.statistics.aggregate import ALL


def lower_is_better(metric: str) -> bool:
    """Whether a lower score is better; False for a metric that is not installed here."""
    try:
        return registry.find(metric).better == "lower"
    except UserError:
        return False


def bounds(metric: str) -> tuple[float, float]:
    """The lowest and the highest score that a metric can have, of both modes; infinite where there is no bound."""
    try:
        ranges = [registry.find(metric, speech=speech).value_range for speech in (False, True)]
    except UserError:  # not installed here
        return -math.inf, math.inf
    number = r"(-?\d+(?:\.\d+)?)"
    between = [re.fullmatch(rf"{number} to {number}", text) for text in ranges]
    if all(between):
        return min(float(match[1]) for match in between if match), max(float(match[2]) for match in between if match)
    above = re.fullmatch(rf"{number} and above", ranges[0])
    return (float(above[1]) if above else -math.inf), math.inf


def modes_of(
    metric: str, categories: Collection[str], speech_categories: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Map each mode, "speech" or "audio", to the categories scored in it.

    Scores of two modes are on two scales. The result is empty for a metric that has no modes.
    """
    if metric not in registry.BY_CATEGORY:
        return {}
    speech = tuple(category for category in categories if category in speech_categories)
    others = tuple(category for category in categories if category not in speech_categories)
    return {mode: members for mode, members in (("speech", speech), ("audio", others)) if members}


def by_category(
    rows: pd.DataFrame, metric: str, speech_categories: Collection[str]
) -> list[tuple[str, pd.DataFrame]]:  # fmt: skip
    """Split rows by category; adds "all" if there are several categories and their scores share one scale."""
    blocks = [(str(name), block) for name, block in rows.groupby("category", sort=False)]
    scales = modes_of(metric, [name for name, _ in blocks], speech_categories)
    return [*blocks, (ALL, rows)] if len(blocks) > 1 and len(scales) < 2 else blocks


def decimals_of(means: pd.Series[float]) -> int:
    """Number of decimals for a metric's scores: 3 if all its means lie within +-1, otherwise 2."""
    return 3 if means.abs().max() <= 1 else 2
