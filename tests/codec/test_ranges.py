"""A part of a coded recording is what decoding the whole gives there, and the file is read there only."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from earmark.codec import ecdc, recordings
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError

SMALL = {  # with 75 steps per second, like the public models, and few samples
    name: replace(
        config, sample_rate=1200, seanet=replace(config.seanet, filters=4, dimension=8, lstm=1, ratios=(2, 2, 2, 2))
    )
    for name, config in PRESETS.items()
}
SECONDS = 80


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.fixture(scope="module", params=PRESETS)
def model(request) -> EncodecModel:
    torch.manual_seed(0)
    made = EncodecModel(SMALL[request.param]).eval()
    torch.nn.init.normal_(made.quantizer.codebooks, std=0.3)
    return made


def coded(model: EncodecModel, seconds: float = SECONDS, length_known: bool = True, format="earmark") -> bytes:
    config, rng = model.config, np.random.default_rng(0)
    samples = round(seconds * config.sample_rate)
    segments = []
    for start, end in config.segments(samples):
        steps = -(-(end - start) // config.seanet.hop)
        scale = torch.tensor([0.5]) if config.normalize else None
        segments.append(Segment(torch.from_numpy(rng.integers(0, 1024, (1, 2, steps))), scale))
    sink = io.BytesIO()
    writer = ecdc.open_writer(sink, config, 2, samples if length_known else None, format=format)
    for segment in Codes(tuple(segments), samples).segments:
        writer.write(*segment.to_numpy())
    writer.close(samples)
    return sink.getvalue()


def decoded(model: EncodecModel, file: io.BytesIO, start: int = 0, end: int | None = None) -> np.ndarray:
    reader = ecdc.open_reader(file, model.config)
    return np.concatenate([*recordings.decode(model, reader, "test", start, end)], axis=1)


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_a_part_equals_the_whole_there(model, format):
    data, rate = coded(model, format=format), model.config.sample_rate
    whole = decoded(model, io.BytesIO(data))
    for start, end in ((70.0, 71.0), (0.0, 1.5), (45.7, 46.01), (79.5, 79.99), (1.0, 3.0), (78.0, None), (79.0, 99.0)):
        first, last = round(start * rate), None if end is None else round(end * rate)
        part = decoded(model, io.BytesIO(data), first, last)
        wanted = whole[:, first:last]
        assert part.shape == wanted.shape
        np.testing.assert_allclose(part, wanted, atol=1e-6)
    if model.config.segment is not None:
        np.testing.assert_array_equal(
            decoded(model, io.BytesIO(data), 70 * rate, 71 * rate), whole[:, 70 * rate : 71 * rate]
        )


def test_only_what_the_part_needs_is_read(model):
    """70 to 71 s need 31 s with the run-in, or two segments of 1 s; a chunk that is skipped costs 12 bytes."""
    data, rate = coded(model), model.config.sample_rate
    file = CountingFile(data)
    decoded(model, file, 70 * rate, 71 * rate)
    chunks = 80 if model.config.segment else 40
    share = 36 / 80 if model.config.segment is None else 4 / 80
    assert file.count < share * len(data) + 12 * chunks + 200


def test_a_part_of_a_file_whose_length_stands_at_its_end(model):
    data, rate = coded(model, length_known=False), model.config.sample_rate
    whole = decoded(model, io.BytesIO(data))
    np.testing.assert_allclose(decoded(model, io.BytesIO(data), 75 * rate), whole[:, 75 * rate :], atol=1e-6)


def test_a_part_behind_the_end_is_refused(model):
    with pytest.raises(UserError, match=r"test: has 80\.00 s; --from lies behind its end"):
        decoded(model, io.BytesIO(coded(model)), SECONDS * model.config.sample_rate)


def test_damage_before_a_part_does_not_move_it(model):
    """A chunk whose length is wrong is not skipped by that length."""
    data, rate = coded(model), model.config.sample_rate
    whole = decoded(model, io.BytesIO(data))
    damaged = bytearray(data)
    damaged[data.index(b"\xec\xdc") + 7] ^= 0x55
    part = decoded(model, io.BytesIO(damaged), 70 * rate, 71 * rate)
    np.testing.assert_allclose(part, whole[:, 70 * rate : 71 * rate], atol=1e-6)


def test_damage_in_a_part_is_silent_there_and_reported(model):
    data, rate = coded(model), model.config.sample_rate
    damaged = bytearray(data)
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xec\xdc"]
    index = min(range(len(starts)), key=lambda i: abs(i - len(starts) * 70.5 / 80))
    damaged[starts[index] + 40] ^= 1
    reader = ecdc.open_reader(io.BytesIO(damaged), model.config)
    np.concatenate([*recordings.decode(model, reader, "test", 69 * rate, 74 * rate)], axis=1)
    assert [damage.chunks for damage in reader.damage] == [(index, index + 1)]
