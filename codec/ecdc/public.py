"""Version 0 of .ecdc, the public reference's: a JSON header, then scale and codes of each segment, no checksums."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio.lookahead import Lookahead
from earmark.codec.ecdc.header import LONGEST_SIGNAL, Header
from earmark.codec.ecdc.parts import Damage, Part, StepBuffer
from earmark.codec.ecdc.segment_coders import SCALE, Entropy, SegmentCoder
from earmark.codec.ecdc.source_facts import SourceFacts
from earmark.codec.encodec.config import PRESETS, EncodecConfig
from earmark.codec.errors import UserError

MAGIC = b"ECDC\x00"
LENGTH = struct.Struct("!I")
LONGEST_JSON = 4096  # bytes; the reference writes about 60


class PublicWriter:
    """Writes the same bytes as the public reference.

    Args:
        header: includes the signal's length, because the file stores it before the codes.
    """

    def __init__(self, sink: BinaryIO, header: Header, coder: SegmentCoder) -> None:
        if not header.samples:
            raise UserError(
                "container reference: needs the length of the signal first, and at least one sample; "
                "use --format earmark for a stream"
            )
        self.header = header
        self.payload_bytes = 0
        self._sink = sink
        self._coder = coder
        self._samples = header.samples
        self._segment = 0  # being filled
        self._pending = StepBuffer(header)
        lm = header.entropy != Entropy.RAW
        fields = {"m": header.model, "al": header.samples, "nc": header.codebooks, "lm": lm}
        text = json.dumps(fields).encode()
        sink.write(MAGIC + LENGTH.pack(len(text)) + text)

    def write(self, codes: NDArray[np.integer], scale: float | None = None) -> None:
        """See PartWriter; raises ValueError for more steps than the signal has."""
        self._pending.append(codes, scale)
        wanted = self.header.steps(self._segment, self._samples) or 0
        have = self._pending.steps
        if self._segment >= self.header.segments(self._samples) or have > wanted:
            raise ValueError(f"{have} steps for segment {self._segment} of a signal of {self._samples} samples")
        if have < wanted:
            return
        payload = b"" if scale is None else SCALE.pack(scale)
        payload += self._coder.encode(self._pending.take(have), self.header.bits)
        self._sink.write(payload)
        self.payload_bytes += len(payload)
        self._segment += 1

    def close(self, samples: int | None = None, facts: SourceFacts | None = None) -> None:
        """See PartWriter; raises ValueError if codes are missing, or for facts."""
        if facts is not None:
            raise ValueError("the format reference has no room for facts about the source")
        segments = self.header.segments(self._samples)
        if samples not in (None, self._samples) or self._segment != segments:
            raise ValueError(f"{self._segment} of {segments} segments written of {self._samples} samples")


class PublicReader:
    """Reads files of the public reference; see PartReader.

    A segment has as many steps as the encoder makes, ceil(samples / hop). The reference's own reader computes in
    floating point, expects one step more for some lengths, and then cannot read its own files.

    Raises:
        UserError: the file is truncated or damaged; raised during iteration.
    """

    def __init__(self, source: Lookahead, header: Header, coder: SegmentCoder) -> None:
        assert header.samples is not None
        self.header = header
        self.samples = header.samples
        self.damage: list[Damage] = []
        self.payload_bytes = 0
        self.chunks = 0
        self.complete = False
        self.facts: SourceFacts | None = None
        self._source = source
        self._coder = coder

    def begin_at(self, sample: int) -> None:
        """See PartReader; this format can be read from its start only."""

    def __iter__(self) -> Iterator[Part]:
        segments = self.header.segments(self.samples)
        for segment in range(segments):
            try:
                yield from self._read_segment(segment)
            except EOFError:
                raise UserError(
                    f"{self._source.name}: truncated: it ends in segment {segment + 1} of {segments}; copy it again"
                ) from None
            self.chunks += 1
        self.complete = True
        if self._source.peek(1):
            self.damage.append(Damage("bytes follow after the last segment"))

    def _read_segment(self, segment: int) -> Iterator[Part]:
        scale = self._read_scale(segment) if self.header.scaled else None
        steps = self.header.steps(segment, self.samples)
        assert steps is not None
        counted = _Counted(self._source)
        first = 0
        for codes in self._coder.decode(counted, self.header.codebooks, steps, self.header.bits):
            yield Part(segment, first, codes, scale)
            first += codes.shape[1]
        self.payload_bytes += counted.bytes

    def _read_scale(self, segment: int) -> float:
        data = self._source.read(SCALE.size)
        if len(data) < SCALE.size:
            raise EOFError
        self.payload_bytes += SCALE.size
        scale = float(SCALE.unpack(data)[0])
        if not math.isfinite(scale) or scale < 0:
            raise UserError(f"{self._source.name}: damaged: segment {segment + 1} has the scale {scale}; copy it again")
        return scale


class _Counted:
    """A source that counts the bytes read from it."""

    def __init__(self, source: Lookahead) -> None:
        self._source = source
        self.bytes = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.bytes += len(data)
        return data


def read_public_header(source: Lookahead, config: EncodecConfig | None) -> Header:
    """Read magic and JSON.

    Args:
        config: the model; needed if it is not one of the presets.

    Raises:
        UserError: the header is damaged, or its model is unknown.
    """
    fields = _read_json(source)
    if config is None:
        config = PRESETS.get(fields["m"])
        if config is None:
            raise UserError(f"{source.name}: codes of the model {fields['m'][:40]!r}; known are {', '.join(PRESETS)}")
    if fields["m"] != config.name:
        raise UserError(f"{source.name}: codes of the model {fields['m'][:40]!r}, not of {config.name}")
    for key, most in (("al", LONGEST_SIGNAL), ("nc", config.codebooks())):
        if not 1 <= fields[key] <= most:
            raise UserError(f"{source.name}: damaged: in its header {key} is not from 1 to {most}")
    entropy = Entropy.PUBLIC_MODEL if fields["lm"] else Entropy.RAW
    return Header.of_model(config, "reference", fields["nc"], fields["al"], entropy)


def _read_json(source: Lookahead) -> dict[str, Any]:
    """The header's fields m, al, nc and lm, with verified types."""
    source.read(len(MAGIC))
    prefix = source.read(LENGTH.size)
    length = LENGTH.unpack(prefix)[0] if len(prefix) == LENGTH.size else 0
    if length > LONGEST_JSON:
        raise UserError(f"{source.name}: damaged: a header of {length} bytes; the maximum is {LONGEST_JSON}")
    text = source.read(length)
    if len(text) < length or not length:
        raise UserError(f"{source.name}: truncated: it ends in its header; copy it again")
    try:
        fields = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise UserError(f"{source.name}: damaged: its header is not JSON; copy it again") from None
    types = {"m": str, "al": int, "nc": int, "lm": bool}
    # type() instead of isinstance(), which would accept True as a length.
    if not isinstance(fields, dict) or any(type(fields.get(key)) is not type_ for key, type_ in types.items()):
        raise UserError(f"{source.name}: damaged: its header lacks one of m, al, nc and lm, or it has another type")
    return fields
