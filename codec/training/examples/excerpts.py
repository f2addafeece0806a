"""Excerpts of the recordings in shards, drawn at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio
from earmark.codec.datasets.manifest import Kind, Split
from earmark.codec.training.examples.shards import Shards, Stored

SILENT = 1e-3  # root mean square, of recordings normalised to full scale: -60 dB
MOST_SILENT = 8  # excerpts drawn in search of one that is not silent


class Excerpts:
    """Draws so that every second of audio of the wanted kinds is as likely as any other.

    Args:
        shards: of one sample rate and number of channels.
        split: the recordings to draw from.
        samples: length of an excerpt.
    """

    def __init__(self, shards: Sequence[Shards], split: Split, samples: int) -> None:
        self._samples = samples
        self._recordings = [
            (part, stored) for part in shards for stored in part.recordings if stored.entry.split == split
        ]
        self._pools: dict[frozenset[Kind], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def draw(self, rng: np.random.Generator, kinds: frozenset[Kind], lead: int = 0) -> Audio:
        """An excerpt of a recording of one of `kinds`, with the `lead` samples before it: [channels, lead + samples].

        A recording that is shorter lies at a random place in the excerpt, in silence; silent excerpts are drawn again
        a few times.

        Raises:
            LookupError: no recordings of these kinds.
        """
        for _ in range(MOST_SILENT):
            shards, stored = self._recording(rng, kinds)
            spare = stored.frames - self._samples
            start = int(rng.integers(min(0, spare), max(0, spare) + 1))
            excerpt = shards.read(stored, start - lead, lead + self._samples)
            if np.sqrt(np.mean(np.square(excerpt[:, lead:]))) > SILENT:
                break
        return excerpt

    def has(self, kinds: frozenset[Kind]) -> bool:
        """Whether there are recordings of any of `kinds`."""
        return len(self._pool(kinds)[0]) > 0

    def _recording(self, rng: np.random.Generator, kinds: frozenset[Kind]) -> tuple[Shards, Stored]:
        numbers, ends = self._pool(kinds)
        if not len(numbers):
            raise LookupError(f"no recordings of {', '.join(sorted(kinds))}")
        return self._recordings[numbers[np.searchsorted(ends, rng.integers(ends[-1]), side="right")]]

    def _pool(self, kinds: frozenset[Kind]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the recordings of some kinds, and where each ends if they lie one after the other."""
        if kinds not in self._pools:
            numbers = [number for number, (_, stored) in enumerate(self._recordings) if stored.entry.kind in kinds]
            ends = np.cumsum([self._recordings[number][1].frames for number in numbers], dtype=np.int64)
            self._pools[kinds] = np.array(numbers, np.int64), ends
        return self._pools[kinds]
