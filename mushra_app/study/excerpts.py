"""Which seconds of which recordings listeners hear (EnCodec paper, section 4.3: N samples of 5 s a category)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHORTEST = 2.0  # seconds; a shorter recording is no item
# A stretch this far below the loudest one of its recording is mostly pause: listeners would rate noise.
QUIETEST_DB = -20.0


@dataclass(frozen=True)
class Excerpt:
    """Seconds `start` to `start + seconds` of the recording `file`."""

    file: str
    start: float
    seconds: float


def cut(
    file: str, reference: NDArray[np.float32], sample_rate: int, seconds: float, rng: np.random.Generator
) -> list[Excerpt]:
    """Non-overlapping excerpts of one recording in random order; a shorter recording is one excerpt, whole.

    Args:
        reference: [channels, time].
    """
    duration = reference.shape[-1] / sample_rate
    if duration < min(SHORTEST, seconds):
        return []
    if duration <= seconds:
        return [Excerpt(file, 0.0, duration)]
    count = int(duration // seconds)
    # The slack is shared out at random before the first excerpt, between them and behind the last.
    gaps = np.sort(rng.uniform(0, duration - count * seconds, count))
    starts = [round(float(gap + index * seconds), 3) for index, gap in enumerate(gaps)]
    parts = [reference[:, int(start * sample_rate) : int((start + seconds) * sample_rate)] for start in starts]
    powers = np.array([np.mean(np.square(part, dtype=np.float64)) for part in parts])
    enough = powers >= powers.max() * 10 ** (QUIETEST_DB / 10)
    return [Excerpt(file, starts[index], seconds) for index in rng.permutation(count) if enough[index]]


def choose(by_recording: Sequence[Sequence[Excerpt]], count: int, rng: np.random.Generator) -> list[Excerpt]:
    """At most `count` excerpts of a category: one of every recording, in random order, before a second of any."""
    order = [by_recording[index] for index in rng.permutation(len(by_recording))]
    rounds = max(map(len, order), default=0)
    return [excerpts[turn] for turn in range(rounds) for excerpts in order if turn < len(excerpts)][:count]
