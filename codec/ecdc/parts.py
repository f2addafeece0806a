"""Codes on their way into a file and out of it, part by part, so that a long signal never lies in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.header import Header


@dataclass(frozen=True)
class Part:
    """Consecutive latent steps of one segment.

    Args:
        segment: its number, from 0.
        first: number of the first step in its segment.
        codes: [codebooks, steps]; where `lost`, the step before the loss repeated, so that a decoder with memory is
            led away from it least.
        scale: of the segment; 0 where `lost`, so that it decodes to silence; None for models without.
    """

    segment: int
    first: int
    codes: NDArray[np.uint16]
    scale: float | None
    lost: bool = False

    @property
    def steps(self) -> int:
        return int(self.codes.shape[1])


@dataclass(frozen=True)
class Damage:
    """Something wrong with a file.

    Args:
        what: one line for people.
        chunks: first lost chunk and the one after the last; None where no chunk was lost.
        samples: samples to be muted, the first and the one after the last; None likewise.
    """

    what: str
    chunks: tuple[int, int] | None = None
    samples: tuple[int, int] | None = None


class PartReader(Protocol):
    """A file being read; iterate over it once.

    `samples` (the signal's length), `damage` and `payload_bytes` (codes and scales, container excluded) are complete
    when the last part is out, and `complete` tells whether all codes came as they were written, as far as the format
    knows. `chunks` counts units of the file: chunks of the checked version, segments of the public.
    """

    header: Header
    samples: int
    damage: list[Damage]
    payload_bytes: int
    chunks: int
    complete: bool

    def __iter__(self) -> Iterator[Part]: ...


class PartWriter(Protocol):
    """A file being written."""

    header: Header
    payload_bytes: int

    def write(self, codes: NDArray[np.integer], scale: float | None = None) -> None:
        """Continue by [codebooks, steps]: one whole segment, or any steps for a model that codes the signal as one."""

    def close(self, samples: int | None = None) -> None:
        """End the file; `samples` is the signal's length where the header does not know it. The sink stays open."""


class StepBuffer:
    """Steps that wait to be written, kept as the unsigned 16-bit integers that they are."""

    def __init__(self, header: Header) -> None:
        self._codebooks = header.codebooks
        self._scaled = header.scaled
        self._data = bytearray()

    @property
    def steps(self) -> int:
        return len(self._data) // (2 * self._codebooks)

    def append(self, codes: NDArray[np.integer], scale: float | None) -> None:
        """Add [codebooks, n]; raises ValueError for another number of codebooks, or a scale too many or too few."""
        if codes.ndim != 2 or codes.shape[0] != self._codebooks or (scale is not None) != self._scaled:
            raise ValueError(f"codes {codes.shape}, scale {scale}: not what the header announces")
        self._data += codes.T.astype(np.uint16).tobytes()

    def take(self, steps: int) -> NDArray[np.uint16]:
        """Remove the first `steps` steps, [codebooks, steps]."""
        size = 2 * self._codebooks * steps
        taken = np.frombuffer(bytes(self._data[:size]), np.uint16).reshape(-1, self._codebooks)
        del self._data[:size]
        return taken.T


class CodesDigest:
    """SHA-256 of codes: all codebooks of a step before the next step, as unsigned 16-bit little-endian integers."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, codes: NDArray[np.uint16]) -> None:
        """Continue by [codebooks, steps]; segments simply follow each other."""
        self._hash.update(codes.T.astype("<u2").tobytes())

    def digest(self) -> bytes:
        return self._hash.digest()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
