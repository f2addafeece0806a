"""Facts about the source of an .ecdc file: its format, loudness and SHA-256, what was done to it, and tags.

Version 1 stores them in records behind the record that ends the file. Each has the layout of a header record, whose
length and digest make room for 14 bytes of facts: readers that do not know facts take it for one more copy of the
header, and ignore it without a report of damage. docs/ecdc-format.md describes the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.codec.errors import UserError

MARK = 0x20  # first byte of a facts record's length: no signal has 2^61 samples
PER_RECORD = 14  # bytes of facts
MOST_RECORDS = 256
LONGEST_FIELD = 255  # bytes

END, RATE, CHANNELS, LOUDNESS, SHA256, GAIN, PICKED, TAG = range(8)
NUMBERS = {RATE: struct.Struct("!I"), CHANNELS: struct.Struct("!B"), LOUDNESS: struct.Struct("!h"),
           GAIN: struct.Struct("!h"), PICKED: struct.Struct("!B")}  # fmt: skip
PICKS = ("mix", "left", "right")


@dataclass(frozen=True)
class SourceFacts:
    """Facts that a file stores about the recording that it was made from.

    Args:
        sample_rate: of the source, in Hz; None if unknown, like all below.
        channels: of the source.
        loudness: integrated loudness of the source in LUFS (ITU-R BS.1770-4); None also for silence.
        sha256: of the bytes of the source file, in hexadecimal; empty for a pipe.
        gain: in dB, applied before coding.
        picked: "left" or "right" if only that channel was coded, else "mix".
        tags: name -> text, such as a title.
    """

    sample_rate: int | None = None
    channels: int | None = None
    loudness: float | None = None
    sha256: str = ""
    gain: float = 0.0
    picked: str = "mix"
    tags: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """The facts as `earmark inspect` prints them."""
        return {
            "source": {
                "sample_rate": self.sample_rate, "channels": self.channels, "loudness_lufs": self.loudness,
                "sha256": self.sha256 or None, "gain_db": self.gain, "coded": self.picked,
            },
            "tags": dict(self.tags),
        }  # fmt: skip


def pack_facts(facts: SourceFacts) -> list[bytes]:
    """Facts as the 16 bytes that replace length and digest in each of their records.

    Raises:
        UserError: a tag is too long, or there are too many.
    """
    data = b"".join(bytes([number, len(value)]) + value for number, value in _fields(facts))
    pieces = [data[start : start + PER_RECORD] for start in range(0, len(data), PER_RECORD)]
    if len(pieces) > MOST_RECORDS:
        raise UserError(f"--tag: {len(data)} bytes of tags and facts; a file holds {PER_RECORD * MOST_RECORDS}")
    return [bytes([MARK, index]) + piece.ljust(PER_RECORD, b"\0") for index, piece in enumerate(pieces)]


def _fields(facts: SourceFacts) -> Iterator[tuple[int, bytes]]:
    numbers: dict[int, float | None] = {
        RATE: facts.sample_rate, CHANNELS: facts.channels,
        LOUDNESS: None if facts.loudness is None else round(100 * facts.loudness),
        GAIN: round(100 * facts.gain) or None, PICKED: PICKS.index(facts.picked) or None,
    }  # fmt: skip
    for number, value in numbers.items():
        if value is not None:
            yield number, NUMBERS[number].pack(value)
    if facts.sha256:
        yield SHA256, bytes.fromhex(facts.sha256)
    for name, text in facts.tags.items():
        tag = f"{name}={text}".encode()
        if len(tag) > LONGEST_FIELD:
            raise UserError(f"--tag {name}: {len(tag)} bytes; a tag has at most {LONGEST_FIELD}: shorten it")
        yield TAG, tag


def unpack_facts(records: Iterable[bytes]) -> SourceFacts | None:
    """Facts from the 16 bytes of each of their records, in any order; what follows a missing record is dropped.

    Returns:
        None if there are no records. Fields of unknown number or length are ignored.
    """
    pieces = {record[1]: record[2:] for record in records}
    if 0 not in pieces:
        return None
    count = next(index for index in range(len(pieces) + 1) if index not in pieces)
    data = b"".join(pieces[index] for index in range(count))
    values: dict[int, Any] = {}
    tags: dict[str, str] = {}
    while len(data) >= 2 and data[0] != END and len(data) >= 2 + data[1]:
        number, value, data = data[0], data[2 : 2 + data[1]], data[2 + data[1] :]
        if number in NUMBERS and len(value) == NUMBERS[number].size:
            values[number] = NUMBERS[number].unpack(value)[0]
        elif number == SHA256 and len(value) == 32:
            values[number] = value.hex()
        elif number == TAG:
            name, _, text = value.decode(errors="replace").partition("=")
            tags[name] = text
    loudness, picked = values.get(LOUDNESS), values.get(PICKED, 0)
    return SourceFacts(
        values.get(RATE), values.get(CHANNELS), None if loudness is None else loudness / 100, values.get(SHA256, ""),
        values.get(GAIN, 0) / 100, PICKS[picked] if picked < len(PICKS) else PICKS[0], tags,
    )  # fmt: skip
