"""Conversion of a segment's codes to bytes: by packing, or by an entropy coder with a language model."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.bits import pack, packed_size, unpack
from earmark.codec.errors import UserError

SCALE = struct.Struct("!f")  # precedes the codes of a segment that was normalised
CHUNK_SECONDS = 2.0  # length of a chunk of a model without segments; each chunk is coded on its own

BLOCK = 1024  # steps unpacked at once; a multiple of 8, so that every block ends on a byte


class Entropy(IntEnum):
    """Coder of the payload, as stored in version 1; version 0 knows RAW and PUBLIC_MODEL only."""

    RAW = 0
    PUBLIC_MODEL = 1  # the arithmetic coder of the public reference ("lm": true)
    PORTABLE_MODEL = 2  # gives the same codes on every machine (language_model/portable_coder.py)


class ByteSource(Protocol):
    """A binary file object that a coder reads from."""

    def read(self, size: int, /) -> bytes: ...


@runtime_checkable
class SegmentCoder(Protocol):
    """Converts codes [codebooks, steps] to bytes and back; keeps no state between calls.

    Attributes:
        identity: SHA-256 of the language model in hexadecimal, empty without one.
    """

    entropy: Entropy
    identity: str

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """Code [codebooks, steps] of `bits` bits each to bytes."""

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """Read exactly the bytes that `encode` wrote, and yield the codes [codebooks, n] in pieces.

        A coder for version 1 only may read to the end of the source, which is the end of the segment there.

        Raises:
            EOFError: the source ends too early.
        """

    def size(self, codebooks: int, steps: int, bits: int) -> int | None:
        """Number of bytes that `encode` gives, None if it depends on the codes."""


@runtime_checkable
class BatchCoder(SegmentCoder, Protocol):
    """A coder that decodes a batch of segments in little more time than one segment.

    Attributes:
        batch: recommended number of segments.
    """

    batch: int

    def decode_all(
        self, payloads: Sequence[bytes], codebooks: int, steps: Sequence[int], bits: int
    ) -> list[NDArray[np.uint16]]:
        """Codes [codebooks, n] of several segments.

        Args:
            payloads: bytes from `encode`, one per segment.
            steps: number of steps of each segment.
        """


class RawCoder:
    """Packs codes at a fixed width: all codebooks of a step before the next step, padded to a whole byte."""

    entropy = Entropy.RAW
    identity = ""

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        return pack(codes.T.reshape(-1), bits)

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        for start in range(0, steps, BLOCK):
            block = min(BLOCK, steps - start)
            size = packed_size(block * codebooks, bits)
            data = source.read(size)
            if len(data) < size:
                raise EOFError
            yield unpack(data, block * codebooks, bits).reshape(block, codebooks).T

    def size(self, codebooks: int, steps: int, bits: int) -> int:
        return packed_size(codebooks * steps, bits)


def coded_by(identity: str) -> str:
    """Message for a file whose language model is not on this machine; `identity` is empty if the file lacks it."""
    model = f"the language model {identity}" if identity else "a language model"
    return f"coded by {model}; give it by --language-model"


def choose_coder(entropy: Entropy, given: SegmentCoder | None, missing: str) -> SegmentCoder:
    """The coder of a file.

    Args:
        missing: message if the file needs a language model.

    Raises:
        UserError: the file needs a language model, and `given` is None or another type of coder.
    """
    if entropy == Entropy.RAW:
        return RawCoder()
    if given is None or given.entropy != entropy:
        raise UserError(missing)
    return given
