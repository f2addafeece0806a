"""Damage to version 1 of .ecdc: detected, reported and local."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
from earmark.codec.errors import UserError

from .signals import CONFIGS, assert_same, chunk_bounds, random_codes, read, written

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_one_flipped_bit_loses_exactly_one_chunk(config):
    """For bits of marker, index, length, CRC, scale and codes of every chunk."""
    codes = random_codes(config, 5 * config.sample_rate)
    data = written(codes, config)
    rng = np.random.default_rng(0)
    for index, (start, end) in enumerate(chunk_bounds(data)):
        for at in [*range(start, start + 17), end - 1, *rng.integers(start, end, 5)]:
            damaged = bytearray(data)
            damaged[at] ^= 1 << int(rng.integers(8))
            contents = read(bytes(damaged))
            assert [damage.chunks for damage in contents.damage if damage.chunks] == [(index, index + 1)]
            assert contents.codes.samples == codes.samples
            for part in ecdc.open_reader(io.BytesIO(damaged)):
                assert part.lost == (part.segment + part.first // 150 == index)
                if not part.lost:
                    wanted = codes.segments[part.segment].codes[0, :, part.first : part.first + part.steps]
                    np.testing.assert_array_equal(part.codes, wanted)


def test_lost_samples_are_reported_and_the_last_step_is_repeated():
    codes = random_codes(ENCODEC_24KHZ, 24000 * 5)
    data = written(codes, ENCODEC_24KHZ)
    start, end = chunk_bounds(data)[1]
    contents = read(data[:start] + data[end:])
    assert contents.lost == ((48000, 96000),)
    assert contents.damage[0].what == "chunk 1 is damaged or missing: 2.00 to 4.00 s"
    wanted = codes.segments[0].codes.clone()
    wanted[..., 150:300] = wanted[..., 149:150]
    assert torch.equal(contents.codes.segments[0].codes, wanted)


def test_a_lost_segment_with_a_scale_is_silent():
    codes = random_codes(ENCODEC_48KHZ, 48000 * 3)
    data = written(codes, ENCODEC_48KHZ)
    start, end = chunk_bounds(data)[1]
    contents = read(data[:start] + data[end:])
    assert [float(segment.scale) for segment in contents.codes.segments] == [
        0 if index == 1 else float(segment.scale) for index, segment in enumerate(codes.segments)
    ]
    assert contents.lost == ((47520, 47520 + 48000),)


@pytest.mark.parametrize("inserted", [b"\x00", b"\xec\xdc", b"ECDC\x01", bytes(5000), b"\xec\xdc" + 10 * b"\xff"])
def test_the_reader_resynchronises_after_inserted_and_lost_bytes(inserted):
    codes = random_codes(ENCODEC_24KHZ, 24000 * 9)
    data = written(codes, ENCODEC_24KHZ)
    start = chunk_bounds(data)[2][0]
    for damaged in (data[: start + 50] + inserted + data[start + 50 :], data[: start + 50] + data[start + 60 :]):
        assert [damage.chunks for damage in read(damaged).damage if damage.chunks] == [(2, 3)]
    between = read(data[:start] + inserted + data[start:])
    assert_same(between.codes, codes)
    assert [damage.what for damage in between.damage] == [f"{len(inserted)} bytes belong to no chunk"]


@pytest.mark.parametrize("known", [True, False])
def test_a_truncated_file_gives_its_intact_chunks(known):
    codes = random_codes(ENCODEC_24KHZ, 24000 * 9)
    sink = io.BytesIO()
    writer = ecdc.open_writer(sink, ENCODEC_24KHZ, 2, codes.samples if known else None)
    writer.write(codes.segments[0].codes[0].numpy())
    writer.close(codes.samples)
    data = sink.getvalue()
    contents = read(data[: chunk_bounds(data)[3][0] + 20])  # three chunks of 2 s are intact
    assert any("was the file cut short" in damage.what for damage in contents.damage)
    assert torch.equal(contents.codes.segments[0].codes[..., :450], codes.segments[0].codes[..., :450])
    assert contents.codes.samples == 24000 * (9 if known else 6)
    assert contents.lost == (((144000, 216000),) if known else ())


@pytest.mark.parametrize("at", range(0, 84, 3))
def test_a_damaged_header_is_read_from_its_copy(at):
    codes = random_codes(ENCODEC_24KHZ, 24000 * 5)
    data = bytearray(written(codes, ENCODEC_24KHZ))
    data[at] ^= 16
    contents = read(bytes(data))
    assert_same(contents.codes, codes)
    assert contents.damage[0].what == "the header is damaged; it was read from its copy"


def test_a_damaged_header_on_a_pipe_is_one_line():
    receive, send = os.pipe()
    data = bytearray(written(random_codes(ENCODEC_24KHZ, 24000), ENCODEC_24KHZ))
    data[20] ^= 1
    os.write(send, data)
    os.close(send)
    with os.fdopen(receive, "rb") as source, pytest.raises(UserError, match="its header is damaged"):
        ecdc.read(source)


def test_chunks_of_another_file_of_the_same_model_are_refused():
    ours, theirs = (written(random_codes(ENCODEC_24KHZ, 24000 * 6, seed=s), ENCODEC_24KHZ) for s in (0, 1))
    (start, end), their_chunk = chunk_bounds(ours)[1], slice(*chunk_bounds(theirs)[1])
    assert read(ours[:start] + theirs[their_chunk] + ours[end:]).damage[0].chunks == (1, 2)


def test_the_digest_detects_chunks_of_a_file_with_the_same_beginning():
    """Two recordings that both begin with 2 s of silence accept each other's chunks."""
    ours, theirs = (random_codes(ENCODEC_24KHZ, 24000 * 6, seed=seed) for seed in (0, 1))
    theirs.segments[0].codes[..., :150] = ours.segments[0].codes[..., :150]
    mine, other = written(ours, ENCODEC_24KHZ), written(theirs, ENCODEC_24KHZ)
    chunk = slice(*chunk_bounds(mine)[1])
    damage = read(mine[: chunk.start] + other[chunk] + mine[chunk.stop :]).damage
    assert [defect.what for defect in damage] == [
        "the codes are not those that were written; are chunks of another file in it?"
    ]


def test_forged_lengths_do_not_produce_endless_silence():
    """A header with a valid CRC announces 10^15 samples: the chunks are decoded, and the missing ones are reported."""
    data = written(random_codes(ENCODEC_24KHZ, 24000 * 4), ENCODEC_24KHZ)
    header = bytearray(data[:84])
    header[-21:-13] = struct.pack("!Q", 10**15)  # samples (8), digest (8), end (1), CRC (4)
    header[-4:] = struct.pack("!I", zlib.crc32(header[:-4]))
    contents = read(bytes(header) + data[84:])
    assert contents.codes.samples == 24000 * 4
    assert any("chunks are missing" in damage.what for damage in contents.damage)


def test_a_file_without_intact_chunks_is_an_error():
    data = written(random_codes(ENCODEC_24KHZ, 24000), ENCODEC_24KHZ)
    start, end = chunk_bounds(data)[0]
    with pytest.raises(UserError, match="no chunk of it is left"):
        read(data[:start] + data[end:])


def test_inspect_of_a_damaged_file(tmp_path):
    data = bytearray(written(random_codes(ENCODEC_24KHZ, 24000 * 8), ENCODEC_24KHZ))
    data[chunk_bounds(data)[1][0] + 30] ^= 1
    path = tmp_path / "a.ecdc"
    path.write_bytes(data)
    facts = ecdc.inspect(path)
    assert (facts["chunks"], facts["chunks_lost"], facts["codes_sha256"]) == (4, 1, None)
    assert facts["damage"][0]["samples"] == (48000, 96000)
    assert facts["kbps"] == pytest.approx(1.5)


@pytest.mark.parametrize("distance", range(4086, 4102))
def test_a_chunk_is_found_wherever_it_begins_after_damage(distance):
    """The reader searches windows of 4096 bytes; a marker may cross the border of two windows."""
    data = written(random_codes(ENCODEC_24KHZ, 24000 * 8), ENCODEC_24KHZ)
    (first, _), (second, _), *_ = chunk_bounds(data)
    filling = bytes(distance - (second - first))
    damaged = data[:first] + b"\0\0" + data[first + 2 : second] + filling + data[second:]
    contents = read(damaged)
    assert sum("chunk 0 is damaged" in damage.what for damage in contents.damage) == 1
    assert len(contents.damage) == 1


def test_no_damage_goes_unnoticed_in_500_mutated_files():
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz_ecdc.py"), "--count", "500", "--seed", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failures" in done.stdout
