"""Version 0 of .ecdc, compared with the public reference."""

from __future__ import annotations

import importlib
import io
import struct

import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS
from earmark.codec.errors import UserError

from .signals import CONFIGS, assert_same, random_codes, read, written


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
    with pytest.raises(UserError, match="container reference: needs the length"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2, format="reference")
