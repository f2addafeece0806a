"""The .ecdc container: version 0 against the public reference, version 1 against damage."""

from __future__ import annotations

import hashlib
import importlib
import io
import itertools
import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.ecdc.segment_coders import Entropy
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, PRESETS, EncodecConfig, SEANetConfig
from earmark.codec.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = [ENCODEC_24KHZ, ENCODEC_48KHZ]
# Unlike the public models: 75 % overlap, so that up to 3 segments at the end are short, no scale, 4 bits.
OVERLAPPING = EncodecConfig(
    "overlapping", 1000, (0.8,), SEANetConfig(ratios=(5, 2)), codebook_size=16, segment=0.1, overlap=0.75
)


def random_codes(config: EncodecConfig, samples: int, codebooks: int = 2, seed: int = 0) -> Codes:
    rng = np.random.default_rng(seed)
    segments = []
    for start, end in config.segments(samples):
        shape = (1, codebooks, -(-(end - start) // config.seanet.hop))
        scale = torch.tensor([rng.uniform(0.01, 1)], dtype=torch.float32) if config.normalize else None
        segments.append(Segment(torch.from_numpy(rng.integers(0, config.codebook_size, shape)), scale))
    return Codes(tuple(segments), samples)


def written(codes: Codes, config: EncodecConfig, **options) -> bytes:
    sink = io.BytesIO()
    ecdc.write(sink, codes, config, **options)
    return sink.getvalue()


def read(data: bytes, config: EncodecConfig | None = None) -> ecdc.Contents:
    return ecdc.read(io.BytesIO(data), config)


def assert_same(got: Codes, wanted: Codes) -> None:
    assert got.samples == wanted.samples
    assert len(got.segments) == len(wanted.segments)
    for here, there in zip(got.segments, wanted.segments, strict=True):
        assert torch.equal(here.codes, there.codes)
        assert (here.scale is None) == (there.scale is None)
        assert here.scale is None or torch.equal(here.scale, there.scale)


def chunk_bounds(data: bytes) -> list[tuple[int, int]]:
    """Start and end of every chunk. The length of the payload is 6 bytes after the marker, the payload 12 bytes."""
    bounds, start = [], data.index(b"\xec\xdc")
    while data[start : start + 2] == b"\xec\xdc":
        end = start + 12 + struct.unpack_from("!H", data, start + 6)[0]
        bounds.append((start, end))
        start = end
    return bounds


# Version 0, against the reference


@pytest.fixture(scope="module")
def pairs(pair):
    return {name: pair(name, 0) for name in PRESETS}


@pytest.mark.parametrize(("name", "kbps"), [(c.name, kbps) for c in CONFIGS for kbps in c.kbps])
def test_each_side_reads_what_the_other_wrote(pairs, monkeypatch, name, kbps):
    reference, model = pairs[name]
    compress = importlib.import_module("encodec.compress")

    reference.set_target_bandwidth(kbps)
    audio = 0.1 * torch.randn(model.config.channels, 12345, generator=torch.Generator().manual_seed(1))
    theirs = compress.compress(reference, audio)
    contents = read(theirs)
    assert contents.damage == ()
    with torch.no_grad():
        frames = reference.encode(audio[None])
    wanted = Codes(tuple(Segment(codes, None if s is None else s[:, 0]) for codes, s in frames), 12345)
    assert_same(contents.codes, wanted)
    assert written(contents.codes, model.config, format="reference") == theirs  # byte for byte

    monkeypatch.setitem(compress.MODELS, name, lambda: reference)
    seen = []
    monkeypatch.setattr(reference, "decode", lambda frames: seen.extend(frames) or audio[None])
    compress.decompress(written(wanted, model.config, format="reference"))
    for (codes, scale), segment in zip(seen, wanted.segments, strict=True):
        assert torch.equal(codes, segment.codes)
        assert scale is None or torch.equal(scale, segment.scale)


@pytest.mark.parametrize(("name", "samples"), [("encodec_24khz", n) for n in (1, 320, 321)] + [
    ("encodec_48khz", n) for n in (1, 47520, 47521, 47900, 48000, 48001)
])  # fmt: skip
def test_segment_lengths_are_the_references(pairs, name, samples):
    """Lengths at which a step, a segment or an overlap has just begun."""
    reference, model = pairs[name]
    compress = importlib.import_module("encodec.compress")

    reference.set_target_bandwidth(model.config.kbps[0])
    audio = 0.1 * torch.randn(model.config.channels, samples, generator=torch.Generator().manual_seed(1))
    theirs = compress.compress(reference, audio)
    assert written(read(theirs).codes, model.config, format="reference") == theirs


def test_a_length_at_which_the_reference_cannot_read_its_own_file(pairs, monkeypatch):
    """6720 samples are 21 steps of 320, but 6720 / 24000 * 75 is 21.000000000000004 in floating point."""
    reference, _ = pairs["encodec_24khz"]
    compress = importlib.import_module("encodec.compress")

    reference.set_target_bandwidth(1.5)
    theirs = compress.compress(reference, torch.zeros(1, 6720))
    monkeypatch.setitem(compress.MODELS, "encodec_24khz", lambda: reference)
    with pytest.raises(EOFError):
        compress.decompress(theirs)
    assert read(theirs).codes.segments[0].codes.shape == (1, 2, 21)


def test_the_public_header_by_hand():
    data = written(random_codes(ENCODEC_24KHZ, 320), ENCODEC_24KHZ, format="reference")
    text = b'{"m": "encodec_24khz", "al": 320, "nc": 2, "lm": false}'
    assert data[:-3] == b"ECDC\x00" + struct.pack("!I", len(text)) + text  # 2 codes of 10 bits take 3 bytes


def test_version_0_needs_the_length_first():
    with pytest.raises(UserError, match="format reference: needs the length"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2, format="reference")


# Round trips


@pytest.mark.parametrize("format", ["earmark", "reference"])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("samples", [1, 319, 320, 321, 47520, 47521, 47999, 48000, 48001, 95521, 200000])
def test_codes_are_read_back(format, config, samples):
    codes = random_codes(config, samples, codebooks=4, seed=samples)
    contents = read(written(codes, config, format=format))
    assert contents.damage == ()
    assert contents.header.model == config.name
    assert_same(contents.codes, codes)


@pytest.mark.parametrize("samples", range(1, 400, 7))
def test_codes_of_a_model_with_long_overlaps_are_read_back(samples):
    codes = random_codes(OVERLAPPING, samples)
    for known in (samples, None):
        sink = io.BytesIO()
        writer = ecdc.open_writer(sink, OVERLAPPING, 2, known)
        for segment in codes.segments:
            writer.write(segment.codes[0].numpy())
        writer.close(samples)
        contents = read(sink.getvalue(), OVERLAPPING)
        assert contents.damage == ()
        assert_same(contents.codes, codes)
    assert_same(read(written(codes, OVERLAPPING, format="reference"), OVERLAPPING).codes, codes)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("pieces", [[200], [1] * 200, [7, 193], [150, 50], [149, 1, 50], [0, 200, 0]])
def test_codes_may_be_written_in_pieces_of_any_size(known, pieces):
    codes = random_codes(ENCODEC_24KHZ, 200 * 320 - 5)
    sink = io.BytesIO()
    writer = ecdc.open_writer(sink, ENCODEC_24KHZ, 2, codes.samples if known else None)
    for piece in codes.segments[0].codes[0].split(pieces, dim=1):
        writer.write(piece.numpy())
    writer.close(codes.samples)
    assert_same(read(sink.getvalue()).codes, codes)
    assert writer.payload_bytes == 200 * 2 * 10 / 8
    if known:
        assert sink.getvalue() == written(codes, ENCODEC_24KHZ)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_signal_without_samples_is_a_file_without_chunks(config):
    sink = io.BytesIO()
    ecdc.open_writer(sink, config, 2).close(0)
    contents = read(sink.getvalue())
    assert contents.codes == Codes((), 0)
    assert contents.damage == ()


def test_chunks_arrive_through_a_pipe_as_they_are_written():
    """The reader must not wait for more than the chunk: the writer continues only after the chunk was read."""
    receive, send = os.pipe()
    codes = random_codes(ENCODEC_24KHZ, 320 * 400).segments[0].codes[0].numpy()
    was_read = threading.Semaphore(0)

    def write() -> None:
        with os.fdopen(send, "wb", buffering=0) as sink:
            writer = ecdc.open_writer(sink, ENCODEC_24KHZ, 2)
            for start in range(0, 400, 150):
                writer.write(codes[:, start : start + 150])
                assert start + 150 > 400 or was_read.acquire(timeout=20)
            writer.close(320 * 400)

    thread = threading.Thread(target=write)
    thread.start()
    parts = []
    with os.fdopen(receive, "rb") as source:
        for part in ecdc.open_reader(source):
            parts.append(part.codes)
            was_read.release()
    thread.join()
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), codes)


def test_a_long_file_is_read_and_written_in_little_memory():
    """Two hours at 24 kbps: 21.6 MB of codes in the file, 34.6 MB as 16-bit integers, and a peak below 10 MB."""
    import tracemalloc

    class Sink(io.RawIOBase):
        def write(self, data) -> int:
            return len(data)

    minute = np.random.default_rng(0).integers(0, 1024, (32, 4500))
    writer = ecdc.open_writer(Sink(), ENCODEC_24KHZ, 32)
    tracemalloc.start()
    for _ in range(120):
        writer.write(minute)
    writer.close(7200 * 24000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert writer.payload_bytes == 7200 * 24000 / 8
    assert peak < 10e6


def test_wrong_use_of_a_writer_raises_value_error():
    codes = random_codes(ENCODEC_24KHZ, 320 * 10).segments[0].codes[0].numpy()
    for format, samples in itertools.product(("earmark", "reference"), (320 * 9, 320 * 11)):
        wrong = Codes((Segment(torch.from_numpy(codes)[None], None),), samples)
        with pytest.raises(ValueError, match=r"steps|segments"):
            written(wrong, ENCODEC_24KHZ, format=format)
    with pytest.raises(ValueError, match="not what the header announces"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_48KHZ, 2).write(codes)  # no scale
    with pytest.raises(ValueError, match="for a signal of None samples"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2).close()


def test_a_batch_is_refused():
    both = Codes((Segment(torch.zeros(2, 2, 3, dtype=torch.int64), None),), 960)
    with pytest.raises(UserError, match="holds one signal"):
        ecdc.write(io.BytesIO(), both, ENCODEC_24KHZ)


# Header and inspect


def test_identities_and_the_model_they_fit():
    weights = hashlib.sha256(b"weights").hexdigest()
    data = written(random_codes(ENCODEC_24KHZ, 1000), ENCODEC_24KHZ, model_identity=weights)
    header = read(data).header
    assert header.model_identity == weights[:16]
    header.require_model(ENCODEC_24KHZ, weights)
    header.require_model(ENCODEC_24KHZ)
    with pytest.raises(UserError, match=f"by the weights {weights[:16]} of encodec_24khz, not 0123456789abcdef"):
        header.require_model(ENCODEC_24KHZ, "0123456789abcdef" * 4)
    with pytest.raises(UserError, match="codes of the model 'encodec_24khz'"):
        header.require_model(ENCODEC_48KHZ)
    with pytest.raises(UserError, match="its sample_rate is 24000, here it is 16000"):
        header.require_model(replace(ENCODEC_24KHZ, sample_rate=16000))
    with pytest.raises(UserError, match="the input: codes of the model"):
        read(data, ENCODEC_48KHZ)
    with pytest.raises(ValueError, match="16 digits"):
        written(random_codes(ENCODEC_24KHZ, 1000), ENCODEC_24KHZ, model_identity="abcd")


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_inspect(tmp_path, format):
    """10 s at 1.5 kbps; the digest covers 16-bit integers, all codebooks of a step together."""
    codes = random_codes(ENCODEC_24KHZ, 240000)
    path = tmp_path / "a.ecdc"
    path.write_bytes(written(codes, ENCODEC_24KHZ, format=format))
    facts = json.loads(json.dumps(ecdc.inspect(path)))
    interleaved = codes.segments[0].codes[0].T.numpy().astype("<u2")
    assert facts == {
        "format": format, "version": int(format == "earmark"), "model": "encodec_24khz", "model_identity": None,
        "entropy": "raw", "language_model_identity": None, "sample_rate": 24000, "channels": 1, "samples": 240000,
        "seconds": 10.0, "codebooks": 2, "bits": 10, "kbps": 1.5, "payload_bytes": 1875, "segments": 1,
        "chunks": 5 if format == "earmark" else 1, "chunks_lost": 0, "damage": [],
        "codes_sha256": hashlib.sha256(interleaved.tobytes()).hexdigest(),
    }  # fmt: skip


def test_the_overhead_is_what_the_documentation_says():
    """84 bytes twice, and 12 for each of 5 chunks."""
    assert len(written(random_codes(ENCODEC_24KHZ, 240000), ENCODEC_24KHZ)) == 1875 + 2 * 84 + 5 * 12


def test_inspect_counts_the_scales_as_payload(tmp_path):
    """2.5 s at 48 kHz: 3 segments of 150, 150 and 78 steps; 2 codebooks: 375 + 375 + 195 bytes and 3 scales of 4."""
    path = tmp_path / "a.ecdc"
    path.write_bytes(written(random_codes(ENCODEC_48KHZ, 120000), ENCODEC_48KHZ))
    facts = ecdc.inspect(path)
    assert facts["payload_bytes"] == 375 + 375 + 195 + 12
    assert facts["kbps"] == pytest.approx(8 * 957 / 2.5 / 1000)
    assert (facts["segments"], facts["chunks"]) == (3, 3)


# Damage to version 1


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


# Malformed files


def public(text: str | bytes, payload: bytes = bytes(100), length: int | None = None) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return b"ECDC\x00" + struct.pack("!I", len(raw) if length is None else length) + raw + payload


def fields(**changes) -> str:
    return json.dumps({"m": "encodec_24khz", "al": 320, "nc": 2, "lm": False} | changes)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an .ecdc file"),
        (b"RIFF" + bytes(1000), "not an .ecdc file"),
        (b"ECDC", "header is damaged"),
        (b"ECDC\x02" + bytes(100), "newer than 1"),
        (b"ECDC\x00", "truncated"),
        (public(fields(), b"", length=1 << 31), "the maximum is 4096"),
        (public(fields(), b"", length=100), "truncated"),
        (public("{" * 50), "not JSON"),
        (public('{"a":' * 700), "not JSON"),
        (public(b'{"\xff": 1}'), "not JSON"),
        (public('{"al": ' + "9" * 3900 + "}"), "lacks one of"),
        (public("{}"), "lacks one of"),
        (public(fields(al=True)), "another type"),
        (public(fields(al=None)), "another type"),
        (public(fields(al=320.0)), "another type"),
        (public(fields(al=float("nan"))), "another type"),
        (public(fields(nc="2")), "another type"),
        (public(fields(lm=0)), "another type"),
        (public(fields(m=["encodec_24khz"])), "another type"),
        (public(fields(m="encodec_96khz")), "encodec_96khz"),
        (public(fields(m="line\nbreak" * 100)), "codes of the model"),
        (public(fields(al=0)), "al is not from 1"),
        (public(fields(al=-1)), "al is not"),
        (public(fields(al=10**18)), "truncated"),
        (public(fields(al=10**30)), "al is not"),
        (public(fields(m="encodec_48khz", al=10**18)), "truncated"),
        (public(fields(nc=0)), "nc is not from 1 to 32"),
        (public(fields(nc=1000)), "nc is not from 1 to 32"),
        (public(fields(al=321), bytes(4)), "truncated: it ends in segment 1 of 1"),
        (public(fields(m="encodec_48khz"), struct.pack("!f", float("nan"))), "scale nan"),
        (public(fields(m="encodec_48khz"), struct.pack("!f", -1)), r"scale -1\.0"),
    ],
)  # fmt: skip
def test_malformed_files_are_one_line(data, reason):
    with pytest.raises(UserError, match=reason) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_bytes_after_a_public_file_are_reported():
    data = written(random_codes(ENCODEC_24KHZ, 1000), ENCODEC_24KHZ, format="reference")
    assert read(data + b"x").damage[0].what == "bytes follow after the last segment"


def test_the_error_for_a_missing_file_names_it(tmp_path):
    with pytest.raises(UserError, match=r"none\.ecdc: No such file"):
        ecdc.inspect(tmp_path / "none.ecdc")


# The language model's flag


class DigitCoder:
    """A substitute for the language model's coder: every code as 4 decimal digits."""

    identity = hashlib.sha256(b"language model").hexdigest()

    def __init__(self, entropy: Entropy) -> None:
        self.entropy = entropy

    def encode(self, codes, bits):
        return "".join(f"{code:04d}" for code in codes.T.reshape(-1)).encode()

    def decode(self, source, codebooks, steps, bits):
        for _ in range(steps):
            text = source.read(4 * codebooks)
            if len(text) < 4 * codebooks:
                raise EOFError
            yield np.array([[int(text[i : i + 4])] for i in range(0, len(text), 4)], np.uint16)

    def size(self, codebooks, steps, bits):
        return None


@pytest.mark.parametrize(
    ("format", "entropy"), [("reference", Entropy.PUBLIC_MODEL), ("earmark", Entropy.PORTABLE_MODEL)]
)
def test_a_language_models_coder_can_be_plugged_in(tmp_path, format, entropy):
    codes = random_codes(ENCODEC_48KHZ, 100000)
    coder = DigitCoder(entropy)
    data = written(codes, ENCODEC_48KHZ, format=format, language_model=True, coder=coder)
    assert_same(ecdc.read(io.BytesIO(data), coder=coder).codes, codes)
    with pytest.raises(UserError, match="the input: coded by "):
        read(data)
    path = tmp_path / "a.ecdc"
    path.write_bytes(data)
    assert ecdc.inspect(path)["kbps"] is None
    assert ecdc.inspect(path, coder=coder)["chunks"] == 3


def test_the_flag_in_the_header_is_that_of_the_reference():
    codes = random_codes(ENCODEC_24KHZ, 320)
    coder = DigitCoder(Entropy.PUBLIC_MODEL)
    data = written(codes, ENCODEC_24KHZ, format="reference", language_model=True, coder=coder)
    assert data[9:-8] == b'{"m": "encodec_24khz", "al": 320, "nc": 2, "lm": true}'


def test_a_missing_language_model_is_one_line():
    with pytest.raises(UserError, match=r"--lm: needs a language model; .* or encode without --lm$"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2, language_model=True)
    with pytest.raises(UserError, match=r"the input: coded by a language model; give it by --language-model$"):
        read(public(fields(lm=True)))


# Fuzzing


def test_no_damage_goes_unnoticed_in_500_mutated_files():
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz_ecdc.py"), "--count", "500", "--seed", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failures" in done.stdout


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
