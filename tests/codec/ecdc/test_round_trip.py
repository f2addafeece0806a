"""Codes written to an .ecdc file and read back, and what `inspect` says of the file."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
from earmark.codec.errors import UserError

from .signals import CONFIGS, OVERLAPPING, assert_same, random_codes, read, written


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
        with pytest.raises(UserError, match="codes of 10 steps in 1 segments"):
            written(wrong, ENCODEC_24KHZ, format=format)
        writer = ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2, samples, format=format)
        with pytest.raises(ValueError, match=r"steps|segments"):
            [writer.write(codes), writer.close()]
    with pytest.raises(ValueError, match="not what the header announces"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_48KHZ, 2).write(codes)  # no scale
    with pytest.raises(ValueError, match="for a signal of None samples"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2).close()


def test_a_batch_is_refused():
    both = Codes((Segment(torch.zeros(2, 2, 3, dtype=torch.int64), None),), 960)
    with pytest.raises(UserError, match="holds one signal"):
        ecdc.write(io.BytesIO(), both, ENCODEC_24KHZ)


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
