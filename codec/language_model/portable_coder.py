"""Entropy coder of the integer language model and the range coder. Its files decode alike on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.segment_coders import ByteSource, Entropy
from earmark.codec.errors import UserError
from earmark.codec.language_model.fast_steps import Stepper
from earmark.codec.language_model.portable_layout import MOST_STEPS
from earmark.codec.language_model.portable_model import Cache, PortableModel
from earmark.codec.language_model.range_coder import RangeDecoder, RangeEncoder

BLOCK = 128  # steps whose frequency tables are computed at once; 4 MiB for 8 codebooks
LONGEST = 1 << 20  # bytes; more than a segment of MOST_STEPS with 128 codebooks has


class PortableModelCoder:
    """Entropy coder for segments of up to MOST_STEPS steps; see `BatchCoder`.

    Attributes:
        identity: SHA-256 of the integer model in hexadecimal.
        batch: number of segments that `decode_all` should get at once.

    Args:
        model: integer language model.
        compiled: whether to decode by a compiled function; see `Stepper`.
    """

    entropy = Entropy.PORTABLE_MODEL
    batch = 32  # with more, caches of keys and values would need over 50 MB

    def __init__(self, model: PortableModel, compiled: bool | None = None) -> None:
        self.identity = model.identity
        self._model, self._stepper = model, Stepper(model, compiled)

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        """Encode a segment; see `SegmentCoder`.

        Raises:
            UserError: if the segment has too many steps or codebooks.
        """
        codebooks, steps = codes.shape
        self._check(codebooks, steps)
        previous = np.pad(codes[:, :-1].astype(np.int64) + 1, ((0, 0), (1, 0)))[:, :steps]
        cache, coder = Cache(self._model, 1, steps), RangeEncoder()
        for first in range(0, steps, BLOCK):
            block = slice(first, min(first + BLOCK, steps))
            cumulative = self._model.frequencies(previous[None, :, block], cache)[0]
            cumulative.cumsum(axis=-1, out=cumulative)
            chosen = codes[:, block].T.astype(np.int64)[..., None]
            ends = np.take_along_axis(cumulative, chosen, -1)
            starts = np.where(chosen, np.take_along_axis(cumulative, np.maximum(chosen - 1, 0), -1), 0)
            for start, width, total in zip(
                starts.ravel().tolist(), (ends - starts).ravel().tolist(), cumulative[..., -1].ravel().tolist(),
                strict=True,
            ):  # fmt: skip
                coder.push(start, width, total)
        return coder.finish()

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        """Decode a segment; see `SegmentCoder`. `source` must end with the segment: it reads to the end."""
        yield from self.decode_all([source.read(LONGEST)], codebooks, [steps], bits)

    def decode_all(
        self, payloads: Sequence[bytes], codebooks: int, steps: Sequence[int], bits: int
    ) -> list[NDArray[np.uint16]]:
        """Decode several segments in a batch, which takes little longer than one; see `BatchCoder`."""
        longest = max(steps, default=0)
        self._check(codebooks, longest)
        decoders = [RangeDecoder(payload) for payload in payloads]
        codes = np.zeros((len(payloads), codebooks, longest), np.uint16)
        previous = np.zeros((len(payloads), codebooks), np.int64)
        model = self._stepper.steps(len(payloads), codebooks, longest)
        for step in range(longest):
            cumulative = model.cumulative(previous)
            size, tables = cumulative.shape[-1], cumulative.reshape(-1).data
            for index, decoder in enumerate(decoders):
                if step < steps[index]:
                    starts = range(index * codebooks * size, (index + 1) * codebooks * size, size)
                    codes[index, :, step] = [decoder.pull(tables[start : start + size]) for start in starts]
            previous = codes[:, :, step] + np.int64(1)
        return [segment[:, :count] for segment, count in zip(codes, steps, strict=True)]

    def size(self, codebooks: int, steps: int, bits: int) -> None:
        """None: the number of bytes depends on the codes."""

    def _check(self, codebooks: int, steps: int) -> None:
        most = self._model.config.codebooks
        if codebooks > most or steps > MOST_STEPS:
            raise UserError(
                f"language model: {codebooks} codebooks and segments of {steps} steps requested; "
                f"it codes up to {most} codebooks and {MOST_STEPS} steps"
            )
