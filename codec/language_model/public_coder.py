"""Arithmetic coder of the public reference, bit for bit, to read and write its .ecdc files with `lm: true`.

Its frequency tables depend on floating point: one unit in the last place of a logit can change them. So a file decodes
only where the language model computes exactly as it did where the file was encoded. portable_coder.py has no such
limit.

The coder (module `encodec.quantization.ac` of the reference) keeps an interval [low, low + width) of integers of
`bits` bits. To code a codeword with the share [start, end) of TOTAL = 2^24,

    1. double the interval until width >= TOTAL;
    2. narrow it to low + ceil(start * width / TOTAL) ... low + floor((end - 1) * width / TOTAL), ends included;
    3. output the leading bits that all numbers of the interval have in common, and remove them.
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
ROUNDOFF = 1e-8  # probabilities are rounded down to multiples of this
LEAST = 2  # smallest share of a codeword


class PublicModelCoder:
    """Entropy coder driven by a float language model, `"lm": true` in the public format; see `SegmentCoder`.

    Args:
        model: float model in evaluation mode.
        identity: SHA-256 of its weights in hexadecimal.
    """

    entropy = Entropy.PUBLIC_MODEL

    def __init__(self, model: LanguageModel, identity: str = "") -> None:
        self.identity = identity
        self._model = model

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """Encode a segment; see `SegmentCoder`.

        Raises:
            UserError: if the segment has more codebooks than the model.
        """
        self._check(codes.shape[0])
        coder = PublicEncoder()
        tables = Tables(self._model, codes.shape[0])
        for step in codes.T.astype(np.int64):
            for code, table in zip(step.tolist(), tables.next(), strict=True):
                coder.push(int(table[code]), int(table[code + 1]))
            tables.follow(step)
        return coder.finish()

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """Decode a segment; see `SegmentCoder`. Reads no byte beyond it.

        Raises:
            EOFError: if the source ends before the codes.
            UserError: if the bytes cannot come from the tables that this machine computes, or if the segment has more
                codebooks than the model.
        """
        self._check(codebooks)
        coder = PublicDecoder(source)
        tables = Tables(self._model, codebooks)
        for _ in range(steps):
            step = np.array([coder.pull(table) for table in tables.next()])
            tables.follow(step)
            yield step[:, None].astype(np.uint16)

    def size(self, codebooks: int, steps: int, bits: int) -> None:
        """None: the number of bytes depends on the codes."""

    def _check(self, codebooks: int) -> None:
        most = self._model.config.codebooks
        if codebooks > most:
            raise UserError(f"language model: {codebooks} codebooks requested; it codes up to {most}")


class Tables:
    """Cumulative frequencies of one segment, step by step: call `next`, then `follow` with the codes of the step."""

    def __init__(self, model: LanguageModel, codebooks: int) -> None:
        self._model = model
        self._previous = torch.zeros(1, codebooks, 1, dtype=torch.long)
        self._past = None

    @torch.inference_mode()
    def next(self) -> NDArray[np.int64]:
        """Cumulative frequencies of the next step, [codebooks, codebook_size + 1]."""
        logits, self._past = self._model(self._previous, self._past)
        return cumulative(torch.softmax(logits, dim=1)[0, :, :, 0].T)

    def follow(self, step: NDArray[np.integer]) -> None:
        """Continue with the codes of this step, [codebooks]."""
        self._previous = torch.from_numpy(step)[None, :, None] + 1


def cumulative(probabilities: Tensor) -> NDArray[np.int64]:
    """Cumulative frequencies of probabilities in float32, [codebooks, codebook_size] -> [codebooks, codebook_size + 1].

    The first is 0, and the last is at most TOTAL.
    """
    rounded = (probabilities / ROUNDOFF).floor() * ROUNDOFF
    share = 1 - LEAST * probabilities.shape[1] / TOTAL  # the rest gives every codeword its smallest share
    widths = (rounded * (share * TOTAL)).floor().long() + LEAST
    return np.pad(widths.cumsum(dim=1).numpy(), ((0, 0), (1, 0)))


class Interval:
    """Interval [low, low + width) of integers of `bits` bits. Leading bits that all of them share are settled."""

    def __init__(self) -> None:
        self.low, self.width, self.bits = 0, 1, 0

    def double(self) -> None:
        """Append a bit: twice as many numbers of one more bit."""
        self.low *= 2
        self.width *= 2
        self.bits += 1

    def narrow(self, first: int, last: int) -> int:
        """Keep the numbers low + first to low + last, and return the number of bits that are settled now."""
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
        """Width of a share of 1, in floating point and multiplied before rounding, as in the reference."""
        return self.width / TOTAL


class PublicEncoder:
    """Writes the bits of one segment; the first bit is the least significant one of the first byte."""

    def __init__(self) -> None:
        self._interval = Interval()
        self._bits: list[str] = []

    def push(self, start: int, end: int) -> None:
        """Encode a codeword with the share [start, end) of TOTAL."""
        interval = self._interval
        while interval.width < TOTAL:
            interval.double()
        scale = interval.scale()
        settled = interval.narrow(math.ceil(start * scale), math.floor((end - 1) * scale))
        if settled:
            self._bits.append(f"{interval.drop():0{settled}b}")

    def finish(self) -> bytes:
        """All bytes of the segment; the last one is padded with zeros."""
        if self._interval.bits:
            self._bits.append(f"{self._interval.low:0{self._interval.bits}b}")
        bits = np.frombuffer("".join(self._bits).encode(), np.uint8) - ord("0")
        return np.packbits(bits, bitorder="little").tobytes()


class PublicDecoder:
    """Reads the output of a `PublicEncoder`, and no byte beyond it."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._interval = Interval()
        self._value = 0  # number in the interval, from the bits read so far
        self._byte, self._left = 0, 0  # last byte read, and its bits that have not been used

    def pull(self, table: NDArray[np.int64]) -> int:
        """Decode the next code.

        Args:
            table: cumulative frequencies, [codebook_size + 1].

        Raises:
            EOFError: if the source ends before it.
            UserError: if the number lies between the shares of two codewords.
        """
        interval = self._interval
        while interval.width < TOTAL:
            self._value = 2 * self._value + self._next_bit()
            interval.double()
        scale = interval.scale()
        above = self._value - interval.low
        code = int(np.searchsorted(np.ceil(table[:-1] * scale), above, side="right")) - 1
        first, last = math.ceil(int(table[code]) * scale), math.floor((int(table[code + 1]) - 1) * scale)
        if above > last:
            raise UserError(
                "damaged, or encoded on a machine whose floating point rounds otherwise: these codes do not match "
                "the language model; decode the file on the machine that encoded it, or encode it again by "
                "--format earmark"
            )
        if interval.narrow(first, last):
            self._value -= interval.drop() << interval.bits
        return code

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
