"""Codes by the integer language model and the range coder: files that decode to the same codes on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.segment_coders import ByteSource, Entropy
from earmark.codec.errors import UserError
from earmark.codec.language_model.portable_layout import MOST_STEPS
from earmark.codec.language_model.portable_model import Cache, Frequencies, PortableModel
from earmark.codec.language_model.range_coder import RangeDecoder, RangeEncoder

PIECE = 128  # steps whose tables are made at once; 4 MiB of them at 8 codebooks
LONGEST = 1 << 20  # bytes; a segment of MOST_STEPS in 128 codebooks has fewer


class PortableModelCoder:
    """Codes segments of up to MOST_STEPS latent steps; see SegmentCoder."""

    entropy = Entropy.PORTABLE_MODEL
    batch = 16

    def __init__(self, model: PortableModel) -> None:
        self.identity = model.identity
        self._model = model

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """See SegmentCoder; raises UserError for a segment that is too long or has too many codebooks."""
        codebooks, steps = codes.shape
        self._check(codebooks, steps)
        before = np.pad(codes[:, :-1].astype(np.int64) + 1, ((0, 0), (1, 0)))[:, :steps]
        cache, coder = Cache(self._model, 1, steps), RangeEncoder()
        for first in range(0, steps, PIECE):
            piece = slice(first, min(first + PIECE, steps))
            cumulative = self._cumulative(before[None, :, piece], cache)[0]
            entries = codes[:, piece].T.astype(np.int64)[..., None]
            ends = np.take_along_axis(cumulative, entries, -1)
            starts = np.where(entries, np.take_along_axis(cumulative, np.maximum(entries - 1, 0), -1), 0)
            for start, width, total in zip(
                starts.ravel().tolist(), (ends - starts).ravel().tolist(), cumulative[..., -1].ravel().tolist(),
                strict=True,
            ):  # fmt: skip
                coder.push(start, width, total)
        return coder.finish()

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """See SegmentCoder; `source` has to end with the segment, since zero bytes at its end are left out."""
        yield from self.decode_all([source.read(LONGEST)], codebooks, [steps], bits)

    def decode_all(
        self, payloads: Sequence[bytes], codebooks: int, steps: Sequence[int], bits: int
    ) -> list[NDArray[np.uint16]]:
        """Decode segments side by side, which costs little more than one; see BatchCoder."""
        longest = max(steps, default=0)
        self._check(codebooks, longest)
        decoders = [RangeDecoder(payload) for payload in payloads]
        codes = np.zeros((len(payloads), codebooks, longest), np.uint16)
        before = np.zeros((len(payloads), codebooks, 1), np.int64)
        cache = Cache(self._model, len(payloads), longest)
        for step in range(longest):
            cumulative = self._cumulative(before, cache)
            entries, tables = cumulative.shape[-1], cumulative.reshape(-1).data
            for index, decoder in enumerate(decoders):
                if step < steps[index]:
                    first, end = (place * codebooks * entries for place in (index, index + 1))
                    starts = range(first, end, entries)
                    codes[index, :, step] = [decoder.pull(tables[start : start + entries]) for start in starts]
            before = codes[:, :, step : step + 1] + np.int64(1)
        return [segment[:, :count] for segment, count in zip(codes, steps, strict=True)]

    def size(self, codebooks: int, steps: int, bits: int) -> None:
        """See SegmentCoder."""

    def _cumulative(self, before: NDArray[np.int64], cache: Cache) -> Frequencies:
        frequencies = self._model.frequencies(before, cache)
        return frequencies.cumsum(axis=-1, dtype=np.int32, out=frequencies)

    def _check(self, codebooks: int, steps: int) -> None:
        most = self._model.config.codebooks
        if codebooks > most or steps > MOST_STEPS:
            raise UserError(
                f"language model: {codebooks} codebooks and segments of {steps} steps asked for; "
                f"it codes up to {most} and {MOST_STEPS}"
            )
