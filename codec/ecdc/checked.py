"""Reading version 1 of .ecdc, Earmark's: each chunk has a CRC, so that damage is detected and stays local."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio.lookahead import Lookahead
from earmark.codec.ecdc.chunks import Chunks
from earmark.codec.ecdc.header import Header
from earmark.codec.ecdc.parts import CodesDigest, Damage, Part
from earmark.codec.ecdc.records import (
    CHUNK,
    CHUNK_MARKER,
    CHUNK_OVERHEAD,
    DIGEST_SIZE,
    HEADER_MARKER,
    MOST_CHUNKS,
    STEP_BITS,
    ChunkRecord,
    HeaderRecord,
    RecordScanner,
    next_header,
    parse_header,
)
from earmark.codec.ecdc.segment_coders import SCALE, BatchCoder, SegmentCoder
from earmark.codec.ecdc.source_facts import SourceFacts, unpack_facts
from earmark.codec.errors import UserError
from earmark.codec.text import counted

# A gap is believed if it is not longer than the chunks received so far plus these limits (9 hours at 1.5 kbps, 2 hours
# at 24 kbps), nor than LOST_SECONDS plus LOST_FACTOR times what the bytes of the file could hold. So a forged index or
# length cannot produce endless silence, nor a small file hours of it.
MOST_LOST_CHUNKS = 1 << 14
MOST_LOST_CODES = 1 << 24
LOST_SECONDS = 60
LOST_FACTOR = 10

OTHER_CODES = "the codes are not those that were written; are chunks of another file in it?"


class CheckedReader:
    """Reads all intact chunks, and yields substitutes marked as lost for the others; see PartReader.

    Args:
        header: from `find_header`.
        damage: defects found while reading the header.
    """

    def __init__(self, source: Lookahead, header: Header, coder: SegmentCoder, damage: list[Damage]) -> None:
        self.header = header
        self.samples = 0
        self.damage = damage
        self.payload_bytes = 0
        self.chunks = 0
        self.complete = False
        self.facts: SourceFacts | None = None
        self._facts: list[bytes] = []
        self._source = source
        self._coder = coder
        self._chunks = Chunks(header)
        self._length = header.samples  # None until the record that ends the file is read
        self._most = MOST_CHUNKS if self._length is None else self._chunks.count(self._length)
        self._written_digest: bytes | None = None
        self._digest = CodesDigest()
        self._lost = 0
        self._allowance = min(MOST_LOST_CHUNKS, MOST_LOST_CODES // (self._chunks.steps * header.codebooks))
        samples_per_chunk = self._chunks.steps * header.hop
        self._floor = min(self._allowance, -(-LOST_SECONDS * header.sample_rate // samples_per_chunk))
        # Entropy coding takes a third off at most.
        self._chunk_bytes = max(1, self._chunks.steps * header.codebooks * header.bits // 12)
        self._last_step = np.zeros(header.codebooks, np.uint16)
        self._whole = True  # whether reading began with the first chunk

    def begin_at(self, sample: int) -> None:
        """See PartReader; steps from chunk to chunk, without reading their payload."""
        wanted = self._chunks.first_reaching(sample)
        record = next_header(self._source) if self._source.seekable and wanted < self._most else None
        if record is None:
            return
        self._source.read(len(record))
        for index in range(wanted):
            length = self._chunk_length(index)
            if length is None:  # damage, or the end: the scanner reads from the start, and finds what is intact
                self._source.rewind()
                return
            self._source.skip(CHUNK_OVERHEAD + length)
        self.chunks = wanted
        self._whole = wanted == 0

    def _chunk_length(self, index: int) -> int | None:
        """Length of the payload of the next chunk, not read yet; None if it is not the chunk `index`."""
        start = self._source.peek(CHUNK_OVERHEAD)
        if len(start) < CHUNK_OVERHEAD or not start.startswith(CHUNK_MARKER):
            return None
        index_and_steps, length, _ = CHUNK.unpack(start[len(CHUNK_MARKER) :])
        coded = self._coder.size(self.header.codebooks, self._chunks.steps, self.header.bits)
        expected = None if coded is None else coded + SCALE.size * self.header.scaled
        if index_and_steps != index << STEP_BITS | self._chunks.steps or expected not in (None, length):
            return None
        return int(length)

    def __iter__(self) -> Iterator[Part]:
        scanner = RecordScanner(self._source, self.header, self._is_plausible)
        unusable = 0
        for record, part in self._decoded(self._chunks_of(scanner)):
            if part is None or not self._is_plausible(record.index, record.steps, len(record.payload)):
                unusable += 1
                continue
            yield from self._fill(record.index)
            self._take(record, part)
            yield part
        if self._length is not None and self._may_lose(self._most):
            yield from self._fill(self._most)
        self._conclude(scanner.skipped, unusable)

    def _is_plausible(self, index: int, steps: int, size: int) -> bool:
        """Whether a chunk with this index, number of steps and payload size can come next."""
        if not self.chunks <= index < self._most or not self._may_lose(index):
            return False
        most = self._chunks.steps_of(index, self._length)
        if not 1 <= steps <= most or (steps < most and self._length is not None):
            return False
        coded = self._coder.size(self.header.codebooks, steps, self.header.bits)
        return coded is None or size == coded + SCALE.size * self.header.scaled

    def _may_lose(self, until: int) -> bool:
        """Whether a gap up to the chunk `until` is plausible."""
        received, lost = self.chunks - self._lost, self._lost + until - self.chunks
        if lost <= self._floor:
            return True
        return lost <= min(
            self._allowance + received, self._floor + LOST_FACTOR * self._source.size // self._chunk_bytes
        )

    def _read_end(self, record: HeaderRecord) -> None:
        """Take the length and the digest from the record that ends the file."""
        samples = record.header.samples
        if record.digest is None or samples is None or self._written_digest is not None:
            return
        count = self._chunks.count(samples)
        if self._length in (None, samples) and self.chunks <= count <= self._most:
            self._length, self._most, self._written_digest = samples, count, record.digest

    def _chunks_of(self, records: Iterable[HeaderRecord | ChunkRecord]) -> Iterator[ChunkRecord]:
        for record in records:
            if isinstance(record, HeaderRecord):
                if record.facts is not None:
                    self._facts.append(record.facts)
                self._read_end(record)
            else:
                yield record

    def _decoded(self, chunks: Iterator[ChunkRecord]) -> Iterator[tuple[ChunkRecord, Part | None]]:
        """Chunks with their decoded part; None if another writer stored an invalid payload under a valid CRC."""
        # A listener at a pipe should not wait for chunks that have not arrived.
        ahead = self._coder.batch if isinstance(self._coder, BatchCoder) and self._source.seekable else 1
        while batch := list(islice(chunks, ahead)):
            yield from zip(batch, self._decode(batch), strict=True)

    def _decode(self, records: list[ChunkRecord]) -> list[Part | None]:
        scales = [self._scale(record) for record in records]
        usable = [record for record, scale in zip(records, scales, strict=True) if scale is None or scale >= 0]
        codes = iter(self._decode_codes(usable))
        parts: list[Part | None] = []
        for record, scale in zip(records, scales, strict=True):
            decoded = next(codes) if scale is None or scale >= 0 else None
            segment, first = self._chunks.position(record.index)
            parts.append(None if decoded is None else Part(segment, first, decoded, scale))
        return parts

    def _scale(self, record: ChunkRecord) -> float | None:
        """The scale of a chunk: None for a model that does not normalise, NaN if it is invalid."""
        if not self.header.scaled:
            return None
        if len(record.payload) < SCALE.size:
            return math.nan
        scale = float(SCALE.unpack_from(record.payload)[0])
        return scale if math.isfinite(scale) else math.nan

    def _decode_codes(self, records: list[ChunkRecord]) -> list[NDArray[np.uint16] | None]:
        payloads = [record.payload[SCALE.size * self.header.scaled :] for record in records]
        codebooks, bits = self.header.codebooks, self.header.bits
        if isinstance(self._coder, BatchCoder):
            return [*self._coder.decode_all(payloads, codebooks, [record.steps for record in records], bits)]
        decoded: list[NDArray[np.uint16] | None] = []
        for record, payload in zip(records, payloads, strict=True):
            try:
                pieces = list(self._coder.decode(io.BytesIO(payload), codebooks, record.steps, bits))
                decoded.append(np.concatenate(pieces, axis=1))
            except EOFError:
                decoded.append(None)
        return decoded

    def _take(self, record: ChunkRecord, part: Part) -> None:
        self._digest.update(part.codes)
        self._last_step = part.codes[:, -1]
        self.payload_bytes += len(record.payload)
        self.chunks = record.index + 1
        end = self._chunks.end(record.index, record.steps)
        self.samples = max(self.samples, end)
        if record.steps < self._chunks.steps:  # the signal ends here, so that only an overlapping segment can follow
            self._most = min(self._most, self._chunks.count(end))

    def _fill(self, until: int) -> Iterator[Part]:
        """Substitutes for the chunks from the next one up to `until`, which are lost."""
        first = self.chunks
        if first == until:
            return
        start, end = self._chunks.start(first), self._chunks.end(until - 1, self._chunks.steps)
        end = end if self._length is None else min(end, self._length)
        name = f"chunk {first} is" if until == first + 1 else f"chunks {first} to {until - 1} are"
        seconds = f"{start / self.header.sample_rate:.2f} to {end / self.header.sample_rate:.2f} s"
        self.damage.append(Damage(f"{name} damaged or missing: {seconds}", (first, until), (start, end)))
        self._lost += until - first
        for index in range(first, until):
            steps = self._chunks.steps_of(index, self._length)
            segment, step = self._chunks.position(index)
            codes = np.repeat(self._last_step[:, None], steps, axis=1)
            self.chunks = index + 1
            self.samples = max(self.samples, self._chunks.end(index, steps))
            yield Part(segment, step, codes, 0.0 if self.header.scaled else None, lost=True)

    def _conclude(self, skipped: int, unusable: int) -> None:
        """Determine the length, and report defects that are known only at the end."""
        self.facts = unpack_facts(self._facts)
        missing = 0
        if self._length is not None:
            missing = self._chunks.count(self._length) - self.chunks
            if missing:
                chunks = (self.chunks, self.chunks + missing)
                last = "chunk is" if missing == 1 else f"{missing} chunks are"
                what = f"the last {last} missing; the signal ends before"
                self.damage.append(Damage(what, chunks))
            self.samples = min(self.samples, self._length)
        if self._written_digest is None:
            self.damage.append(Damage("the record that ends the file is damaged or missing; was the file cut short?"))
        self.complete = self._whole and self._length is not None and not self._lost and not missing
        if self.complete and self._written_digest not in (None, self._digest.digest()[:DIGEST_SIZE]):
            self.complete = False
            self.damage.append(Damage(OTHER_CODES))
        if skipped and not self._lost and not missing:  # otherwise these bytes are remains of chunks
            self.damage.append(Damage(f"{skipped} bytes belong to no chunk"))
        if unusable:
            self.damage.append(Damage(counted(unusable, "invalid chunk")))


def find_header(source: Lookahead) -> tuple[Header, list[Damage]] | None:
    """Find the header, or its copy at the end if it is damaged; the source remains at the start.

    Returns:
        The header and defects found, or None if there is no header.

    Raises:
        UserError: a newer version of Earmark wrote the header.
    """
    damage: list[Damage] = []
    record = next_header(source)
    if record is None:
        if not source.rewind():
            return None
        damage.append(Damage("the header is damaged; it was read from its copy"))
        while record is None and source.skip_to((HEADER_MARKER,)):
            record = next_header(source)
        source.rewind()
    if record is None:
        return None
    parsed = parse_header(record)
    if parsed is None:
        raise UserError(f"{source.name}: this version of Earmark cannot interpret its header; is there a newer one?")
    return parsed.header, damage
