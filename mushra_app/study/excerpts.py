"""Choice of excerpts from recordings (EnCodec paper, section 4.3: N samples of 5 s from each category)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_SECONDS = 2.0  # of a recording
# An excerpt this far below the loudest one of its recording is mostly pause: listeners would rate noise.
MIN_RELATIVE_DB = -20.0
SILENCE_DB = -60.0  # RMS below full scale; quieter excerpts are silence or its noise


@dataclass(frozen=True)
class Excerpt:
    """Part of the recording `file`, from `start` to `start + seconds`."""

    file: str
    start: float
    seconds: float


def cut(
    file: str, reference: NDArray[np.float32], sample_rate: int, seconds: float, rng: np.random.Generator
) -> list[Excerpt]:
    """Cut a recording into non-overlapping excerpts, in random order. A shorter recording becomes one excerpt.

    Leaves out excerpts that are silent or mostly pause, and returns none for a recording below MIN_SECONDS.

    Args:
        reference: [channels, time].
    """
    duration = reference.shape[-1] / sample_rate
    if duration < min(MIN_SECONDS, seconds):
        return []
    if duration <= seconds:
        return [] if is_silent(reference) else [Excerpt(file, 0.0, duration)]
    count = int(duration // seconds)
    # The remaining time is distributed at random before, between and after the excerpts.
    gaps = np.sort(rng.uniform(0, duration - count * seconds, count))
    starts = [round(float(gap + index * seconds), 3) for index, gap in enumerate(gaps)]
    parts = [reference[:, int(start * sample_rate) : int((start + seconds) * sample_rate)] for start in starts]
    powers = np.array([np.mean(np.square(part, dtype=np.float64)) for part in parts])
    loud = powers >= max(powers.max() * 10 ** (MIN_RELATIVE_DB / 10), 10 ** (SILENCE_DB / 10))
    return [Excerpt(file, starts[index], seconds) for index in rng.permutation(count) if loud[index]]


def is_silent(signal: NDArray[np.float32]) -> bool:
    """Whether the RMS of a signal [channels, time] is below -60 dB of full scale."""
    return bool(np.mean(np.square(signal, dtype=np.float64)) < 10 ** (SILENCE_DB / 10))


def choose(by_recording: Sequence[Sequence[Excerpt]], count: int, rng: np.random.Generator) -> list[Excerpt]:
    """Choose at most `count` excerpts of a category: one per recording, in random order, before a second of any.

    Args:
        by_recording: excerpts of each recording, from `cut`.
    """
    order = [by_recording[index] for index in rng.permutation(len(by_recording))]
    rounds = max(map(len, order), default=0)
    return [excerpts[turn] for turn in range(rounds) for excerpts in order if turn < len(excerpts)][:count]
