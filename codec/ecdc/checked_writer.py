"""Writing version 1 of .ecdc, Earmark's: each chunk has a CRC, so that damage is detected and stays local."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.chunks import Chunks
from earmark.codec.ecdc.header import Header
from earmark.codec.ecdc.parts import CodesDigest, StepBuffer
from earmark.codec.ecdc.records import (
    DIGEST_SIZE,
    MOST_CHUNKS,
    ChunkRecord,
    chunk_record,
    facts_records,
    fixed_part,
    header_record,
)
from earmark.codec.ecdc.segment_coders import SCALE, SegmentCoder
from earmark.codec.ecdc.source_facts import SourceFacts
from earmark.codec.errors import UserError


class CheckedWriter:
    """Writes the header with the first chunk, each chunk when it is full, and the header again at the end.

    See PartWriter for the methods.
    """

    def __init__(self, sink: BinaryIO, header: Header, coder: SegmentCoder) -> None:
        self.header = header
        self.payload_bytes = 0
        self._sink = sink
        self._coder = coder
        self._chunks = Chunks(header)
        self._pending = StepBuffer(header)
        self._digest = CodesDigest()
        self._seed = 0
        self._index = 0
        self._last_steps = 0  # steps of the last chunk

    def write(self, codes: NDArray[np.integer], scale: float | None = None) -> None:
        """See PartWriter; raises ValueError for a segment that is too long or empty."""
        self._pending.append(codes, scale)
        if self.header.segment is None:
            while self._pending.steps >= self._chunks.steps:
                self._write_chunk(self._chunks.steps, None)
        elif not 1 <= codes.shape[1] <= self._chunks.steps:
            raise ValueError(f"a segment of {codes.shape[1]} steps; the model's have 1 to {self._chunks.steps}")
        else:
            self._write_chunk(codes.shape[1], scale)

    def close(self, samples: int | None = None, facts: SourceFacts | None = None) -> None:
        """See PartWriter; raises ValueError if the length does not match the codes."""
        if self._pending.steps:
            self._write_chunk(self._pending.steps, None)
        known = self.header.samples
        total = known if samples is None else samples
        if total is None or known not in (None, total) or self._chunks.count(total) != self._index:
            raise ValueError(f"{self._index} chunks written for a signal of {total} samples, announced as {known}")
        if self._index and self._chunks.steps_of(self._index - 1, total) != self._last_steps:
            raise ValueError(f"the last chunk has {self._last_steps} steps, too many or too few for {total} samples")
        if not self._index:
            self._write_header(b"")
        self._sink.write(header_record(replace(self.header, samples=total), self._digest.digest()[:DIGEST_SIZE]))
        if facts is not None:
            self._sink.write(facts_records(self.header, facts))

    def _write_chunk(self, steps: int, scale: float | None) -> None:
        if self._index == MOST_CHUNKS:
            raise UserError(f"{self.header.model}: a signal of more than {MOST_CHUNKS} chunks; write several files")
        codes = self._pending.take(steps)
        self._digest.update(codes)
        payload = b"" if scale is None else SCALE.pack(scale)
        payload += self._coder.encode(codes, self.header.bits)
        if not self._index:
            self._write_header(payload)
        self._sink.write(chunk_record(ChunkRecord(self._index, steps, payload), self._seed))
        self.payload_bytes += len(payload)
        self._last_steps = steps
        self._index += 1

    def _write_header(self, first_payload: bytes) -> None:
        self.header = replace(self.header, signal_id=zlib.crc32(first_payload))
        self._seed = zlib.crc32(fixed_part(self.header))
        self._sink.write(header_record(self.header))
