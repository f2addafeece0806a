"""The public reference's arithmetic coder, bit for bit, so that .ecdc files with `lm: true` are read and written.

Its tables come from floating point: one unit in the last place of a logit changes them, and a file can only be decoded
where the language model computes exactly as where it was encoded. codec/portable_coder.py is the cure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.codec.ecdc.segment_coders import ByteSource, Entropy
from earmark.codec.errors import UserError
from earmark.codec.language_model.network import LanguageModel

RANGE_BITS = 24
TOTAL = 1 << RANGE_BITS
ROUNDOFF = 1e-8  # probabilities are rounded down to multiples of it
LEAST = 2  # width of an entry's range


class PublicModelCoder:
    """Codes a segment by a float language model: "lm": true of the public format.

    Args:
        model: in evaluation mode.
        identity: SHA-256 of its weights in hexadecimal.
    """

    entropy = Entropy.PUBLIC_MODEL

    def __init__(self, model: LanguageModel, identity: str = "") -> None:
        self.identity = identity
        self._model = model

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """See SegmentCoder; raises UserError for too many codebooks."""
        self._check(codes.shape[0])
        coder = PublicEncoder()
        tables = Tables(self._model, codes.shape[0])
        for step in codes.T.astype(np.int64):
            for code, table in zip(step.tolist(), tables.next(), strict=True):
                coder.push(int(table[code]), int(table[code + 1]))
            tables.follow(step)
        return coder.finish()

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """See SegmentCoder.

        Raises:
            EOFError: the source ends before the codes.
            UserError: bytes that no table of this machine gives, or too many codebooks.
        """
        self._check(codebooks)
        coder = PublicDecoder(source)
        tables = Tables(self._model, codebooks)
        for _ in range(steps):
            step = np.array([coder.pull(table) for table in tables.next()])
            tables.follow(step)
            yield step[:, None].astype(np.uint16)

    def size(self, codebooks: int, steps: int, bits: int) -> None:
        """See SegmentCoder."""

    def _check(self, codebooks: int) -> None:
        most = self._model.config.codebooks
        if codebooks > most:
            raise UserError(f"language model: {codebooks} codebooks asked for; it codes up to {most}")


class Tables:
    """Cumulative frequencies of step after step of one segment."""

    def __init__(self, model: LanguageModel, codebooks: int) -> None:
        self._model = model
        self._before = torch.zeros(1, codebooks, 1, dtype=torch.long)
        self._past = None

    @torch.inference_mode()
    def next(self) -> NDArray[np.int64]:
        """Of all codebooks of the next step, [codebooks, entries + 1]."""
        logits, self._past = self._model(self._before, self._past)
        return cumulative(torch.softmax(logits, dim=1)[0, :, :, 0].T)

    def follow(self, step: NDArray[np.integer]) -> None:
        """Tell the codes of the step."""
        self._before = torch.from_numpy(step)[None, :, None] + 1


def cumulative(probabilities: Tensor) -> NDArray[np.int64]:
    """Float32 [codebooks, entries] -> [codebooks, entries + 1], from 0 to at most TOTAL."""
    rounded = (probabilities / ROUNDOFF).floor() * ROUNDOFF
    share = 1 - LEAST * probabilities.shape[1] / TOTAL  # the rest gives every entry its least width
    widths = (rounded * (share * TOTAL)).floor().long() + LEAST
    return np.pad(widths.cumsum(dim=1).numpy(), ((0, 0), (1, 0)))


class Interval:
    """The range [low, low + width) within `bits` bits; bits on which all of it agrees are settled and drop out."""

    def __init__(self) -> None:
        self.low, self.width, self.bits = 0, 1, 0

    def narrow(self, first: int, last: int) -> int:
        """Keep what lies `first` to `last` above `low`; returns how many bits are settled by that."""
        self.low += first
        self.width = last - first + 1
        settled = self.bits - (self.low ^ (self.low + self.width - 1)).bit_length()
        self.bits -= settled
        return settled

    def drop(self) -> int:
        """Remove and return the settled bits of `low`."""
        prefix = self.low >> self.bits
        self.low -= prefix << self.bits
        return prefix

    def scale(self) -> float:
        return self.width / TOTAL  # in floating point, and multiplied before rounding, as the reference does


class PublicEncoder:
    """Gathers the bits of one segment, the first in the least significant place of a byte."""

    def __init__(self) -> None:
        self._interval = Interval()
        self._bits: list[str] = []

    def push(self, start: int, end: int) -> None:
        """Add an entry that has `start` to `end` of TOTAL."""
        interval = self._interval
        while interval.width < TOTAL:
            interval.low *= 2
            interval.width *= 2
            interval.bits += 1
        scale = interval.scale()
        settled = interval.narrow(math.ceil(start * scale), math.floor((end - 1) * scale))
        if settled:
            self._bits.append(f"{interval.drop():0{settled}b}")

    def finish(self) -> bytes:
        """All bytes; the last is filled up with zeros."""
        if self._interval.bits:
            self._bits.append(f"{self._interval.low:0{self._interval.bits}b}")
        bits = np.frombuffer("".join(self._bits).encode(), np.uint8) - ord("0")
        return np.packbits(bits, bitorder="little").tobytes()


class PublicDecoder:
    """Reads what PublicEncoder wrote, and no byte more."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._interval = Interval()
        self._value = 0  # the bits read, within the interval
        self._byte, self._left = 0, 0

    def pull(self, table: NDArray[np.int64]) -> int:
        """The next entry, of cumulative frequencies [entries + 1].

        Raises:
            EOFError: the source ends before it.
            UserError: the value lies between two entries.
        """
        interval = self._interval
        while interval.width < TOTAL:
            self._value = 2 * self._value + self._next_bit()
            interval.low *= 2
            interval.width *= 2
            interval.bits += 1
        scale = interval.scale()
        above = self._value - interval.low
        entry = int(np.searchsorted(np.ceil(table[:-1] * scale), above, side="right")) - 1
        first, last = math.ceil(int(table[entry]) * scale), math.floor((int(table[entry + 1]) - 1) * scale)
        if above > last:
            raise UserError(
                "damaged, or encoded where floating point rounds otherwise: the language model's codes make no sense "
                "here; decode it on the machine that encoded it, or encode it anew by --format earmark"
            )
        if interval.narrow(first, last):
            self._value -= interval.drop() << interval.bits
        return entry

    def _next_bit(self) -> int:
        if not self._left:
            data = self._source.read(1)
            if not data:
                raise EOFError
            self._byte, self._left = data[0], 8
        bit = self._byte & 1
        self._byte >>= 1
        self._left -= 1
        return bit
