"""How a listener heard the stimuli of a trial and moved its sliders, as the browser recorded it.

Stored with a trial as {"reference": {...}, "conditions": {name: {...}}}. Each record has

    plays      times that the stimulus began to play, by its button or a key
    seconds    for which it was heard
    switches   how many of the plays came while another stimulus played
    moves      [seconds on the page, score] of each move of the slider, the first and at most the last 49

The browser's word is stored and not believed: no rating is refused because of it. A flag reports listeners who heard a
stimulus for less than a time that the study sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

REFERENCE = ""  # key of the open reference among tokens


@dataclass(frozen=True)
class Heard:
    """The record of one stimulus in one trial."""

    plays: int
    seconds: float
    switches: int
    moves: tuple[tuple[float, int], ...] = ()


def as_stored(heard: Mapping[str, Heard], conditions: Mapping[str, str]) -> dict[str, Any] | None:
    """The value of the column `listening`; None if the browser sent nothing.

    Args:
        heard: by token of the stimulus, and by REFERENCE.
        conditions: token -> condition. Other tokens are ignored.
    """
    if not heard:
        return None
    records = {token: asdict(one) for token, one in heard.items()}
    return {
        "reference": records.get(REFERENCE),
        "conditions": {name: records[token] for token, name in conditions.items() if token in records},
    }


def columns_of(stored: Mapping[str, Any] | None, condition: str) -> tuple[float, float, float, float, float]:
    """Plays, seconds, switches and moves of a condition, and seconds of the reference; NaN where nothing is known."""
    records = {} if stored is None else stored
    one, reference = records.get("conditions", {}).get(condition), records.get("reference")
    unknown = float("nan")
    ears = (unknown,) * 4 if one is None else (one["plays"], one["seconds"], one["switches"], len(one["moves"]))
    return (*ears, unknown if reference is None else reference["seconds"])
