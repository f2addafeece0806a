"""Random excerpts of the recordings in shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio
from earmark.codec.datasets.manifest import Category, Split
from earmark.codec.training.examples.shards import Shards, Stored

SILENT = 1e-3  # root mean square; -60 dB, as recordings are normalised to full scale
MOST_DRAWS = 8  # until an excerpt is not silent


class Excerpts:
    """Draws excerpts such that every second of audio of the wanted categories is equally likely.

    Args:
        shards: of one sample rate and number of channels.
        split: split to draw from.
        samples: length of an excerpt.
    """

    def __init__(self, shards: Sequence[Shards], split: Split, samples: int) -> None:
        self._samples = samples
        self._recordings = [
            (part, stored) for part in shards for stored in part.recordings if stored.entry.split == split
        ]
        self._pools: dict[frozenset[Category], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def draw(self, rng: np.random.Generator, categories: frozenset[Category], lead: int = 0) -> Audio:
        """Draw an excerpt of a recording of one of the categories.

        A shorter recording is padded with silence, at a random offset. Silent excerpts are drawn again, up to
        MOST_DRAWS times.

        Args:
            rng: source of randomness.
            categories: categories to draw from.
            lead: samples before the excerpt that are returned too.

        Returns:
            [channels, lead + samples].

        Raises:
            LookupError: there are no recordings of these categories.
        """
        for _ in range(MOST_DRAWS):
            shards, stored = self._recording(rng, categories)
            spare = stored.frames - self._samples
            start = int(rng.integers(min(0, spare), max(0, spare) + 1))
            excerpt = shards.read(stored, start - lead, lead + self._samples)
            if np.sqrt(np.mean(np.square(excerpt[:, lead:]))) > SILENT:
                break
        return excerpt

    def has(self, categories: frozenset[Category]) -> bool:
        """Whether there are recordings of any of `categories`."""
        return len(self._pool(categories)[0]) > 0

    def _recording(self, rng: np.random.Generator, categories: frozenset[Category]) -> tuple[Shards, Stored]:
        indices, ends = self._pool(categories)
        if not len(indices):
            raise LookupError(f"no recordings of {', '.join(sorted(categories))}")
        return self._recordings[indices[np.searchsorted(ends, rng.integers(ends[-1]), side="right")]]

    def _pool(self, categories: frozenset[Category]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the recordings of some categories, and the cumulative sum of their lengths."""
        if categories not in self._pools:
            indices = [
                index for index, (_, stored) in enumerate(self._recordings) if stored.entry.category in categories
            ]
            ends = np.cumsum([self._recordings[index][1].frames for index in indices], dtype=np.int64)
            self._pools[categories] = np.array(indices, np.int64), ends
        return self._pools[categories]
