"""Sample rate, resolution and files of the stimuli of a study."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.codec import audio
from earmark.eval.levels import loudness, match
from earmark.mushra_app.study.study import Stimulus

Levels = Literal["equal", "keep"]

USUAL_RATES = (44_100, 48_000)  # Hz; sound cards play them without resampling
HIGH_RATES = (88_200, 96_000)  # kept too, with a warning: many devices resample or refuse them
COMMON_RATE = 48_000  # Hz; used if sources have several rates, or another one


def study_rate(rates: Collection[int]) -> int:
    """Sample rate of a study in Hz: that of its sources if all have the same and sound cards have it, else 48 kHz."""
    only = set(rates)
    rate = only.pop() if len(only) == 1 else COMMON_RATE
    return rate if rate in (*USUAL_RATES, *HIGH_RATES) else COMMON_RATE


def levels_of(
    signals: Mapping[str, NDArray[np.float32]], sample_rate: int, levels: Levels
) -> dict[str, tuple[float, float]]:
    """Gain in dB and resulting loudness in LUFS of the conditions of an item.

    Args:
        signals: condition -> [channels, time].
        levels: "equal" makes the conditions equally loud, see `earmark.eval.levels.match`; "keep" has gains of 0.
    """
    if levels == "equal":
        return match(dict(signals), sample_rate)
    return {name: (0.0, loudness(signal, sample_rate)) for name, signal in signals.items()}


def write_stimuli(
    signals: Mapping[str, NDArray[np.float32]],
    levels: Mapping[str, tuple[float, float]],
    out: Path,
    salt: str,
    sample_rate: int,
    bits: int = 16,
) -> dict[str, Stimulus]:
    """Write the signals of an item to STUDY/audio, under names that do not reveal the condition.

    Args:
        signals: condition -> [channels, time].
        levels: condition -> gain in dB to apply, and the loudness in LUFS after it.
        out: folder of the study.
        salt: text that differs between items and is the same in every build, as file names are made of it.
        bits: 16 or 24.
    """
    stimuli = {}
    for condition, (gain, level) in levels.items():
        # A hash as file name hides the condition from listeners and is the same in every build.
        name = f"{hashlib.sha256(f'{salt}/{condition}'.encode()).hexdigest()[:24]}.wav"
        signal = signals[condition] * np.float32(10 ** (gain / 20))
        audio.write(out / "audio" / name, signal, sample_rate, f"PCM_{bits}")
        stimuli[condition] = Stimulus(name, round(gain, 3), round(level, 3))
    return stimuli
