"""Random codes, and files of them in memory."""

from __future__ import annotations

import io
import struct

import numpy as np
import torch

from earmark.codec import ecdc
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, EncodecConfig, SEANetConfig

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
