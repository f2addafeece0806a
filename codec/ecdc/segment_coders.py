"""How the codes of one segment become bytes: packed as they are, or by a coder that a language model drives."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.bits import pack, packed_size, unpack
from earmark.codec.errors import UserError

SCALE = struct.Struct("!f")  # in front of the codes of a segment that was normalised
CHUNK_SECONDS = 2.0  # that are coded on their own by a model without segments

BLOCK = 1024  # latent steps unpacked at once; a multiple of 8, so that every block ends on a byte


class Entropy(IntEnum):
    """Payload coder, as stored in the checked version; the public version only tells RAW from PUBLIC_MODEL."""

    RAW = 0
    PUBLIC_MODEL = 1  # the arithmetic coder of the public reference ("lm": true)
    PORTABLE_MODEL = 2  # decodes the same on every machine (codec/portable_coder.py)


class ByteSource(Protocol):
    """What a coder reads from: any binary file object."""

    def read(self, size: int, /) -> bytes: ...


@runtime_checkable
class SegmentCoder(Protocol):
    """Turns codes [codebooks, steps] into bytes and back; every call starts afresh.

    `identity` is the SHA-256 of the language model in hexadecimal, empty without one.
    """

    entropy: Entropy
    identity: str

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """Bytes of codes [codebooks, steps] of `bits` bits each."""

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """Read exactly the bytes that `encode` wrote; yield the codes [codebooks, n] in pieces as they come.

        A coder for the checked version alone may read on to the end of the source, which there is that of the segment.

        Raises:
            EOFError: the source ends before them.
        """

    def size(self, codebooks: int, steps: int, bits: int) -> int | None:
        """Bytes that `encode` gives, None where that depends on the codes."""


@runtime_checkable
class BatchCoder(SegmentCoder, Protocol):
    """One that decodes several segments in little more time than one; `batch` is a good number of them."""

    batch: int

    def decode_all(
        self, payloads: Sequence[bytes], codebooks: int, steps: Sequence[int], bits: int
    ) -> list[NDArray[np.uint16]]:
        """Codes [codebooks, n] of the segments that `encode` gave `payloads` for, of the lengths `steps`."""


class RawCoder:
    """Fixed-width codes, all codebooks of a step before the next step, the end filled up to a whole byte."""

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
    """What is said of a file whose language model, of this identity where the file tells it, is not here."""
    model = f"the language model {identity}" if identity else "a language model"
    return f"coded by {model}; give it by --language-model"


def choose_coder(entropy: Entropy, given: SegmentCoder | None, missing: str) -> SegmentCoder:
    """The coder of a file.

    Args:
        missing: what to say if the file needs a language model's coder, and `given` is not that.

    Raises:
        UserError: that is so.
    """
    if entropy == Entropy.RAW:
        return RawCoder()
    if given is None or given.entropy != entropy:
        raise UserError(missing)
    return given
