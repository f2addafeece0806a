"""Facts about the source: kept by the file, ignored as copies of the header by readers that do not know them."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import pytest

from earmark.codec import ecdc
from earmark.codec.ecdc.source_facts import SourceFacts, pack_facts, unpack_facts
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
from earmark.codec.errors import UserError

from .signals import CONFIGS, random_codes, read

FACTS = SourceFacts(44100, 2, -23.04, "ab" * 32, -1.5, "left", {"title": "Große Fuge, op. 133", "artist": "L. v. B."})


def file_with(facts: SourceFacts | None, config=ENCODEC_24KHZ, seconds: int = 3) -> bytes:
    sink = io.BytesIO()
    codes = random_codes(config, seconds * config.sample_rate)
    writer = ecdc.open_writer(sink, config, 2, codes.samples)
    for segment in codes.segments:
        writer.write(*segment.to_numpy())
    writer.close(facts=facts)
    return sink.getvalue()


def facts_of(data: bytes) -> SourceFacts | None:
    reader = ecdc.open_reader(io.BytesIO(data))
    assert [*reader]
    assert not reader.damage
    assert reader.complete
    return reader.facts


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("facts", [None, SourceFacts(), FACTS, SourceFacts(8000, 1, None, "", 0, "mix", {"x": ""})])
def test_a_file_keeps_facts(config, facts):
    assert facts_of(file_with(facts, config)) == (None if facts == SourceFacts() else facts)


def test_the_records_are_valid_copies_of_the_header_for_readers_that_do_not_know_facts():
    """They have its size, magic, fixed part and CRC; the last byte says that they do not end the file.

    Readers of version 1 have always ignored such a record: it gives no digest, so they take no length from it.
    """
    plain, data = file_with(None), file_with(FACTS)
    size = data.index(b"\xec\xdc")
    extra = data[len(plain) :]
    assert len(extra) % size == 0
    for start in range(0, len(extra), size):
        record = extra[start : start + size]
        assert record[: size - 21] == data[: size - 21]
        assert record[-5] == 0
        assert struct.unpack("!Q", record[-21:-13])[0] < 1 << 62  # the longest length that those readers accept
        assert zlib.crc32(record[:-4]) == struct.unpack("!I", record[-4:])[0]


def test_fields_by_hand():
    """Rate 44100 = 0xAC44: field 1, 4 bytes. Loudness -23.04: field 3, -2304 = 0xF700. Tag a=b: field 7, 3 bytes."""
    (record,) = pack_facts(SourceFacts(44100, None, -23.04, tags={"a": "b"}))[:1]
    assert record == bytes.fromhex("2000 0104 0000ac44 0302f700 0703613d".replace(" ", ""))


def test_a_lost_record_costs_the_facts_after_it():
    records = pack_facts(FACTS)
    assert unpack_facts(reversed(records)) == FACTS
    assert unpack_facts(records[:1] + records[2:]) == replace(SourceFacts(44100, 2, -23.04))
    assert unpack_facts(records[1:]) is None


def test_unknown_fields_are_ignored():
    record = bytes([0x20, 0, 99, 2, 5, 5, 1, 4, 0, 0, 0xAC, 0x44]).ljust(16, b"\0")
    assert unpack_facts([record]) == SourceFacts(44100)


def test_a_damaged_record_is_reported_and_the_codes_remain():
    data = bytearray(file_with(FACTS))
    data[-30] ^= 1
    contents = read(bytes(data))
    assert [damage.what for damage in contents.damage] == [
        f"{data.index(bytes([0xEC, 0xDC]))} bytes belong to no chunk"
    ]
    assert not contents.lost


def test_facts_are_no_length_when_both_headers_are_damaged():
    data = bytearray(file_with(FACTS))
    plain = len(file_with(None))
    data[10] ^= 1
    data[plain - 10] ^= 1
    reader = ecdc.open_reader(io.BytesIO(data))
    assert reader.header.samples is None
    assert sum(part.steps for part in reader if not part.lost) == 225
    assert reader.samples == 225 * 320


def test_too_much_is_refused():
    with pytest.raises(UserError, match="--tag title: 306 bytes; a tag has at most 255"):
        pack_facts(SourceFacts(tags={"title": 300 * "x"}))
    with pytest.raises(UserError, match="a file holds 3584"):
        pack_facts(SourceFacts(tags={str(index): 200 * "x" for index in range(20)}))


def test_a_model_that_normalises_without_segments_is_refused():
    """Each segment has one scale, and a signal without segments is written before its RMS is known."""
    config = replace(ENCODEC_48KHZ, segment=None)
    with pytest.raises(UserError, match="normalises without segments"):
        ecdc.open_writer(io.BytesIO(), config, 2, 48000)
