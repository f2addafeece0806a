"""Reading and writing of codes part by part, so that a long signal is never in memory as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.header import Header
from earmark.codec.ecdc.source_facts import SourceFacts


@dataclass(frozen=True)
class Part:
    """Consecutive steps of one segment.

    Args:
        segment: number of the segment, from 0.
        first: number of the first step in the segment.
        codes: [codebooks, steps]; if `lost`, copies of the step before the loss, which disturb the state of a decoder
            least.
        scale: scale of the segment, 0 if `lost` for silence; None for models that do not normalise.
        lost: the codes were damaged or missing.
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
    """A defect of a file.

    Args:
        what: description in one line.
        chunks: first lost chunk, and the chunk after the last lost one; None if no chunk was lost.
        samples: first sample to mute, and the sample after the last one; None if there is nothing to mute.
    """

    what: str
    chunks: tuple[int, int] | None = None
    samples: tuple[int, int] | None = None


class PartReader(Protocol):
    """A file that is being read; iterate over it once.

    Attributes:
        samples: length of the signal; like all below, final after the last part.
        damage: defects found so far.
        payload_bytes: bytes of codes and scales, without the container.
        chunks: number of chunks, or of segments in version 0.
        complete: whether all codes are as they were written, as far as the format can detect.
        facts: about the source; None if the file holds none.
    """

    header: Header
    samples: int
    damage: list[Damage]
    payload_bytes: int
    chunks: int
    complete: bool
    facts: SourceFacts | None

    def begin_at(self, sample: int) -> None:
        """Begin with a part before the sample, if the file allows it, else with the first; call it before iterating.

        `complete` and `payload_bytes` then refer to the parts that are read.
        """

    def __iter__(self) -> Iterator[Part]: ...


class PartWriter(Protocol):
    """A file that is being written."""

    header: Header
    payload_bytes: int

    def write(self, codes: NDArray[np.integer], scale: float | None = None) -> None:
        """Append codes [codebooks, steps]: one whole segment, or any number of steps for a model without segments."""

    def close(self, samples: int | None = None, facts: SourceFacts | None = None) -> None:
        """End the file and leave the sink open.

        Args:
            samples: length of the signal, needed if the header lacks it.
            facts: about the source; the format "reference" has no room for them.
        """


class StepBuffer:
    """Steps that are not yet written, as unsigned 16-bit integers."""

    def __init__(self, header: Header) -> None:
        self._codebooks = header.codebooks
        self._scaled = header.scaled
        self._data = bytearray()

    @property
    def steps(self) -> int:
        return len(self._data) // (2 * self._codebooks)

    def append(self, codes: NDArray[np.integer], scale: float | None) -> None:
        """Add codes [codebooks, n].

        Raises:
            ValueError: another number of codebooks than in the header, or a scale too many or too few.
        """
        if codes.ndim != 2 or codes.shape[0] != self._codebooks or (scale is not None) != self._scaled:
            raise ValueError(f"codes {codes.shape}, scale {scale}: not what the header announces")
        self._data += codes.T.astype(np.uint16).tobytes()

    def take(self, steps: int) -> NDArray[np.uint16]:
        """Remove and return the first `steps` steps, [codebooks, steps]."""
        size = 2 * self._codebooks * steps
        taken = np.frombuffer(bytes(self._data[:size]), np.uint16).reshape(-1, self._codebooks)
        del self._data[:size]
        return taken.T


class CodesDigest:
    """SHA-256 of codes: all codebooks of a step before the next step, as unsigned 16-bit little-endian integers."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, codes: NDArray[np.uint16]) -> None:
        """Add codes [codebooks, steps]; segments follow each other without a separator."""
        self._hash.update(codes.T.astype("<u2").tobytes())

    def digest(self) -> bytes:
        return self._hash.digest()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
