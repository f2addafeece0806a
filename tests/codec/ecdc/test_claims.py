"""A file cannot claim more than its bytes can back."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from earmark.codec import ecdc
from earmark.codec.ecdc.records import header_record
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ

HOURS = 9
RATE = 24_000


def forged(samples: int) -> bytes:
    """A valid file of 3 s at 1.5 kbps whose header and last record claim `samples`: under 1 kB."""
    codes = np.random.default_rng(0).integers(0, 1024, (2, 225)).astype(np.uint16)
    file = io.BytesIO()
    ecdc.write(file, Codes((Segment.from_numpy(codes, None),), 3 * RATE), ENCODEC_24KHZ)
    contents = ecdc.read(io.BytesIO(file.getvalue()), ENCODEC_24KHZ)
    start, end = header_record(contents.header), header_record(contents.header, b"\0" * 8)
    chunks = file.getvalue()[len(start) : -len(end)]
    lie = replace(contents.header, samples=samples)
    data = header_record(lie) + chunks + header_record(lie, b"\0" * 8)
    assert len(data) < 1000
    return data


def test_a_small_file_that_claims_hours_does_not_become_hours_of_silence():
    """60 s are believed, plus ten times what 1 kB can hold at 1.5 kbps: at most about two minutes."""
    contents = ecdc.read(io.BytesIO(forged(HOURS * 3600 * RATE)), ENCODEC_24KHZ)
    assert contents.codes.array.shape[-1] <= 180 * 75
    assert "the signal ends before" in " ".join(one.what for one in contents.damage)
