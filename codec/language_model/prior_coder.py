"""Entropy coding of codes by their own fixed frequencies, as DiffQ and the Gumbel quantiser learn them (A.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.segment_coders import ByteSource, Entropy
from earmark.codec.encodec.learned_quantizers import LearnedQuantizer
from earmark.codec.language_model.range_coder import RangeDecoder, RangeEncoder


class PriorCoder:
    """Codes each value with its frequency among the values of its codebook, independently of all others.

    In .ecdc files it takes the place of a language model without memory: `identity` is that of the frequencies, and the
    file needs the weights of the codec alone.

    Args:
        cumulative: cumulative frequencies of each code of a step, each including its value's.
    """

    entropy = Entropy.PORTABLE_MODEL
    batch = 1

    def __init__(self, cumulative: Sequence[Sequence[int]]) -> None:
        self._tables = cumulative
        text = ";".join(",".join(map(str, table)) for table in cumulative)
        self.identity = hashlib.sha256(text.encode("ascii")).hexdigest()

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """Code [codes, steps], all codes of a step before the next step."""
        encoder = RangeEncoder()
        tables = [(row, table) for row, table in enumerate(self._tables[: len(codes)]) if len(table) > 1]
        columns = codes.T.tolist()
        for step in columns:
            for row, table in tables:
                code = step[row]
                start = table[code - 1] if code else 0
                encoder.push(start, table[code] - start, table[-1])
        return encoder.finish()

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """Read to the end of the source, and yield codes [codes, steps]."""
        decoder = RangeDecoder(source.read(-1))
        codes = np.zeros((codebooks, steps), np.uint16)
        tables = [(row, table) for row, table in enumerate(self._tables[:codebooks]) if len(table) > 1]
        for step in range(steps):
            for row, table in tables:
                codes[row, step] = decoder.pull(table)
        yield codes

    def decode_all(
        self, payloads: Sequence[bytes], codebooks: int, steps: Sequence[int], bits: int
    ) -> list[NDArray[np.uint16]]:
        """Codes [codes, n] of several segments."""
        from io import BytesIO

        return [
            next(self.decode(BytesIO(payload), codebooks, count, bits))
            for payload, count in zip(payloads, steps, strict=True)
        ]

    def size(self, codebooks: int, steps: int, bits: int) -> None:
        """None: the number of bytes depends on the codes."""


def prior_coder(quantizer: object) -> PriorCoder | None:
    """The coder of a quantiser that has frequencies of its own; None for one whose codes are equally probable."""
    return PriorCoder(quantizer.cumulative()) if isinstance(quantizer, LearnedQuantizer) else None
