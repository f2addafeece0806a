"""Records of version 1 of .ecdc: the framing of header and chunks, and finding them again after damage.

All numbers are big-endian. A file consists of a header record, chunk records, and a second header record, which adds
the length of the signal and a digest of its codes. Facts about the source may follow (source_facts.py).
docs/ecdc-format.md describes every byte:

    header   "ECDC" 1 | length of fixed and changing part (2) | fixed part | changing part | CRC-32 (4)
    chunk    EC DC | index (22 bits) and steps (10 bits) | length of the payload (2) | CRC-32 (4) | payload

The CRC of a header covers everything before it. The CRC of a chunk covers its index, steps, length and payload, and
starts from the CRC of the header's fixed part. The fixed part contains the model, the bit rate and the CRC of the first
chunk's payload, so that a chunk of another file has a wrong CRC. The header is binary because it takes a third of the
size of JSON, and because every value of every field is either valid or refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from earmark.codec.audio.lookahead import Lookahead
from earmark.codec.ecdc.header import LONGEST_SIGNAL, Header
from earmark.codec.ecdc.segment_coders import Entropy
from earmark.codec.ecdc.source_facts import MARK, SourceFacts, pack_facts
from earmark.codec.errors import UserError

HEADER_MARKER = b"ECDC\x01"
CHUNK_MARKER = b"\xec\xdc"
CHUNK = struct.Struct("!IHI")
CHUNK_OVERHEAD = len(CHUNK_MARKER) + CHUNK.size  # 12 bytes
STEP_BITS = 10
MOST_STEPS = (1 << STEP_BITS) - 1  # in a chunk
MOST_CHUNKS = 1 << 32 - STEP_BITS
LONGEST_PAYLOAD = (1 << 16) - 1  # bytes of a chunk

SIZE = struct.Struct("!H")
CRC = struct.Struct("!I")
# entropy, channels, sample rate, codebooks, bits, hop, segment, stride, scaled, steps per chunk,
# model identity, language model identity, signal id, length of the model's name, which follows
FIXED = struct.Struct("!BBIHBHIIBH8s8sIB")
CHANGING = struct.Struct("!Q8sB")  # samples, digest of the codes, whether this record ends the file
UNKNOWN_SAMPLES = (1 << 64) - 1
DIGEST_SIZE = 8


@dataclass(frozen=True)
class HeaderRecord:
    """A header. The one that ends a file also has a digest, the first bytes of the SHA-256 of the codes.

    Args:
        facts: 16 bytes for `unpack_facts`; such a record gives no length.
    """

    header: Header
    digest: bytes | None
    facts: bytes | None = None


@dataclass(frozen=True)
class ChunkRecord:
    """One chunk: its index, its number of steps, and their codes as bytes."""

    index: int
    steps: int
    payload: bytes


def fixed_part(header: Header) -> bytes:
    """The part that both header records share, and from which the CRCs of all chunks start.

    Raises:
        UserError: the format cannot hold the model's shape.
    """
    name = header.model.encode()
    try:
        return FIXED.pack(
            header.entropy, header.channels, header.sample_rate, header.codebooks, header.bits, header.hop,
            header.segment or 0, header.stride or 0, header.scaled, header.steps_per_chunk or 0,
            bytes.fromhex(header.model_identity), bytes.fromhex(header.language_model_identity), header.signal_id,
            len(name),
        ) + name  # fmt: skip
    except struct.error as error:
        raise UserError(f"{header.model}: cannot be stored in the .ecdc format ({error})") from error


def header_record(header: Header, digest: bytes | None = None) -> bytes:
    """The record that begins a file, or, with the digest of all codes, the record that ends it."""
    samples = UNKNOWN_SAMPLES if header.samples is None else header.samples
    return _record(header, CHANGING.pack(samples, digest or b"", digest is not None))


def facts_records(header: Header, facts: SourceFacts) -> bytes:
    """The records with facts, which follow the record that ends the file.

    Raises:
        UserError: see `pack_facts`.
    """
    return b"".join(_record(header, piece + b"\0") for piece in pack_facts(facts))


def _record(header: Header, changing: bytes) -> bytes:
    body = fixed_part(header) + changing
    record = HEADER_MARKER + SIZE.pack(len(body)) + body
    return record + CRC.pack(zlib.crc32(record))


def chunk_record(chunk: ChunkRecord, seed: int) -> bytes:
    """The bytes of a chunk; `seed` is the CRC of the header's fixed part."""
    index_and_steps = chunk.index << STEP_BITS | chunk.steps
    crc = _chunk_crc(index_and_steps, chunk.payload, seed)
    return CHUNK_MARKER + CHUNK.pack(index_and_steps, len(chunk.payload), crc) + chunk.payload


def _chunk_crc(index_and_steps: int, payload: bytes, seed: int) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("!IH", index_and_steps, len(payload)), seed))


def next_header(source: Lookahead) -> bytes | None:
    """The header record at the current position if its CRC is right; it remains unread."""
    start = source.peek(len(HEADER_MARKER) + SIZE.size)
    if len(start) < len(HEADER_MARKER) + SIZE.size or not start.startswith(HEADER_MARKER):
        return None
    body = SIZE.unpack(start[-SIZE.size :])[0]
    if not FIXED.size + CHANGING.size <= body <= FIXED.size + 255 + CHANGING.size:
        return None
    size = len(start) + body + CRC.size
    record = source.peek(size)
    if len(record) < size or zlib.crc32(record[: -CRC.size]) != CRC.unpack(record[-CRC.size :])[0]:
        return None
    return record


def parse_header(record: bytes) -> HeaderRecord | None:
    """The contents of a header record; None if this version of Earmark cannot interpret them."""
    body = record[len(HEADER_MARKER) + SIZE.size : -CRC.size]
    (entropy, channels, rate, codebooks, bits, hop, segment, stride, scaled, steps, identity, language, signal,
     length) = FIXED.unpack_from(body)  # fmt: skip
    changing = body[-CHANGING.size :]
    samples, digest, ends = CHANGING.unpack(changing)
    facts = changing[:-1] if changing[0] == MARK and not ends else None
    samples = samples if facts is None else UNKNOWN_SAMPLES
    name = body[FIXED.size : -CHANGING.size]
    model = name.decode(errors="replace")
    unknown = samples == UNKNOWN_SAMPLES
    if (
        entropy not in list(Entropy) or len(name) != length or not model.isprintable() or scaled > 1
        or 0 in (channels, rate, codebooks, bits, hop, steps) or bits > 16 or steps > MOST_STEPS
        or (segment > 0) != (stride > 0) or stride > segment or (segment and steps != -(-segment // hop))
        or codebooks * bits * steps > 8 * LONGEST_PAYLOAD
        or (ends and unknown) or (samples > LONGEST_SIGNAL and not unknown)
    ):  # fmt: skip
        return None
    header = Header(
        "earmark", model, rate, channels, None if unknown else samples, codebooks, bits, hop, segment or None,
        stride or None, bool(scaled), Entropy(entropy), _digits(identity), _digits(language), steps, signal,
    )  # fmt: skip
    return HeaderRecord(header, digest if ends else None, facts)


def _digits(identity: bytes) -> str:
    return identity.hex() if any(identity) else ""


class RecordScanner:
    """Finds the records of a file and skips any bytes between them; `skipped` counts these bytes.

    Args:
        plausible: whether index, steps and payload length are possible; called before the CRC is computed.
    """

    def __init__(self, source: Lookahead, header: Header, plausible: Callable[[int, int, int], bool]) -> None:
        self.skipped = 0
        self._source = source
        self._seed = zlib.crc32(fixed_part(header))
        self._same = replace(header, samples=None)
        self._plausible = plausible

    def __iter__(self) -> Iterator[HeaderRecord | ChunkRecord]:
        while self._source.peek(1):
            match = self._next_chunk() or self._next_own_header()
            if match is None:
                self.skipped += self._source.skip_to((CHUNK_MARKER, HEADER_MARKER))
                continue
            record, size = match
            self._source.read(size)
            yield record

    def _next_own_header(self) -> tuple[HeaderRecord, int] | None:
        """The header record at the current position if it belongs to this file, and its size."""
        record = next_header(self._source)
        parsed = None if record is None else parse_header(record)
        if record is None or parsed is None or replace(parsed.header, samples=None) != self._same:
            return None
        return parsed, len(record)

    def _next_chunk(self) -> tuple[ChunkRecord, int] | None:
        """The chunk at the current position if it belongs to this file, and its size."""
        start = self._source.peek(CHUNK_OVERHEAD)
        if len(start) < CHUNK_OVERHEAD or not start.startswith(CHUNK_MARKER):
            return None
        index_and_steps, length, crc = CHUNK.unpack(start[len(CHUNK_MARKER) :])
        index, steps = index_and_steps >> STEP_BITS, index_and_steps & MOST_STEPS
        if not self._plausible(index, steps, length):
            return None
        size = CHUNK_OVERHEAD + length
        payload = self._source.peek(size)[CHUNK_OVERHEAD:]
        if len(payload) < length or _chunk_crc(index_and_steps, payload, self._seed) != crc:
            return None
        return ChunkRecord(index, steps, payload), size
