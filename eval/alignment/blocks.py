"""Sums over long signals, block by block, so that no copy of a whole signal is made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio

BLOCK = 2**16  # samples at once; sums of float32 stay accurate, and the blocks of two signals fit into a cache


def blocks(length: int) -> Iterator[slice]:
    """Consecutive slices that cover `length` samples."""
    for first in range(0, length, BLOCK):
        yield slice(first, min(length, first + BLOCK))


def means(audio: Audio) -> Audio:
    """Mean of each channel, [channels, 1], as float32."""
    total = np.zeros((len(audio), 1))
    for part in blocks(audio.shape[-1]):
        total += audio[:, part].sum(axis=-1, keepdims=True)  # pairwise, so that float32 is accurate, and fast
    return (total / max(1, audio.shape[-1])).astype(np.float32)


def energies(audio: Audio) -> NDArray[np.float64]:
    """Sum of squares of each channel, [channels]."""
    total = np.zeros(len(audio))
    for part in blocks(audio.shape[-1]):
        total += [float(np.dot(channel, channel)) for channel in audio[:, part]]
    return total


def levels(audio: Audio) -> NDArray[np.float64]:
    """Root mean square of each channel, [channels]."""
    return np.sqrt(energies(audio) / max(1, audio.shape[-1]))


def level(audio: Audio) -> float:
    """Root mean square over all channels."""
    return float(np.sqrt(energies(audio).sum() / max(1, audio.size)))


def varies(audio: Audio) -> bool:
    """Whether the samples of any channel differ."""
    return any(bool(np.any(audio[:, part] != audio[:, :1])) for part in blocks(audio.shape[-1]))
