"""Codes as numpy arrays and back, for models on any device."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from earmark.codec import ecdc, recordings
from earmark.codec.audio.blocks import AudioStream
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError

from ..other_device import OnDevice, OtherDevice, moved

SAMPLES = 50000  # a whole segment and a short one at 48 kHz


def small_model(name: str) -> EncodecModel:
    config = replace(PRESETS[name], seanet=replace(PRESETS[name].seanet, filters=4, dimension=8, lstm=1))
    torch.manual_seed(0)
    model = EncodecModel(config).eval().requires_grad_(False)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.3)
    return model


def noise(model: EncodecModel, samples: int = SAMPLES) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, (model.config.channels, samples)).astype(np.float32)


@pytest.fixture(params=PRESETS)
def model(request) -> EncodecModel:
    return small_model(request.param)


def again(codes: Codes) -> Codes:
    return Codes.from_array(codes.array, codes.samples, steps=codes.steps, scales=codes.scales)


def test_an_array_of_codes_decodes_to_the_same_audio(model):
    codes = model.encode(noise(model), 6)
    segments, scaled = (1, False) if model.config.segment is None else (2, True)
    assert codes.array.shape == (1, model.config.codebooks(6), sum(codes.steps))
    assert codes.array.dtype == np.int64
    assert len(codes.steps) == segments
    assert (codes.scales is not None) == scaled
    np.testing.assert_array_equal(model.decode(again(codes)), model.decode(codes))


def test_a_batch_as_an_array(model):
    audio = np.stack([noise(model), noise(model)[:, ::-1]])
    codes = model.encode(torch.from_numpy(audio), 3)
    assert codes.array.shape[0] == 2
    np.testing.assert_array_equal(model.decode(again(codes)), model.decode(codes))


def test_one_signal_needs_no_batch_axis():
    model = small_model("encodec_24khz")
    codes = model.encode(noise(model), 3)
    same = Codes.from_array(codes.array[0].astype(np.uint16), SAMPLES)
    np.testing.assert_array_equal(model.decode(same), model.decode(codes))


def test_signals_of_different_lengths_have_no_array(model):
    codes = model.encode(np.stack([noise(model)] * 2), 3, lengths=[SAMPLES, 10000])
    with pytest.raises(UserError, match=r"different lengths .* encode them one by one, or use the `codes` and `mask`"):
        _ = codes.array


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((1, 2, 4)), {}, r"codes of shape \[1, 2, 4\] and type float64; they are integers \[batch, "),
        (np.zeros(4, int), {}, r"codes of shape \[4\]"),
        (np.zeros((2, 0), int), {}, r"codes of shape \[1, 2, 0\]"),
        (
            np.full((2, 4), -1),
            {},
            r"code -1 at \[batch, codebook, step\] = \[0, 0, 0\]; a code is the number of a codeword, from 0",
        ),
        (np.zeros((2, 4), int), {"steps": [3, 2]}, r"codes of 4 steps cannot be cut into segments of \[3, 2\] steps"),
        (np.zeros((2, 4), int), {"steps": [4, 0]}, r"segments of \[4, 0\] steps"),
        (np.zeros((2, 4), int), {"scales": np.ones(1)}, r"scales of shape \[1\]; these codes need \[1, 1\]"),
    ],
)
def test_arrays_that_are_no_codes_are_refused(array, options, message):
    with pytest.raises(UserError, match=message):
        Codes.from_array(array, 1280, **options)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.full((2, 4), 1024),
            r"code 1024 at .* = \[0, 0, 0\]; the codebooks of encodec_24khz have the codewords 0 to 1023",
        ),
        (np.zeros((33, 4), int), "codes of 33 codebooks; encodec_24khz has 32"),
    ],
)
def test_codes_of_another_model_are_refused(array, message):
    with pytest.raises(UserError, match=message):
        small_model("encodec_24khz").decode(Codes.from_array(array, 1280))


def test_segments_to_numpy_and_back():
    codes = np.array([[1, 2, 3], [65535, 0, 7]], np.uint16)
    array, scale = Segment.from_numpy(codes, 0.5).to_numpy()
    assert array.dtype == np.uint16
    np.testing.assert_array_equal(array, codes)
    assert scale == 0.5
    assert Segment.from_numpy(codes).to_numpy()[1] is None
    with pytest.raises(ValueError, match="batch of 2 signals"):
        Segment(torch.zeros(2, 2, 3, dtype=torch.long), None).to_numpy()


def test_arrays_on_another_device(model):
    """A model on a GPU takes and gives the same arrays."""
    audio = noise(model)
    expected = model.encode(audio, 6)
    decoded = model.decode(expected)
    moved(model)
    with OtherDevice():
        codes = model.encode(audio, 6)
        assert isinstance(codes.segments[0].codes, OnDevice)
        np.testing.assert_array_equal(codes.array, expected.array)
        np.testing.assert_array_equal(model.decode(again(codes)), decoded)


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_files_of_a_model_on_another_device(model, format):
    audio = noise(model)
    expected = ecdc.compress(model, audio, 6, format)
    decoded = ecdc.decompress(model, expected)
    identity = "" if format == "reference" else ecdc.read(io.BytesIO(expected)).header.model_identity
    moved(model)
    with OtherDevice():
        file = io.BytesIO()
        ecdc.write(file, model.encode(audio, 6), model.config, format=format, model_identity=identity)
        contents = ecdc.read(io.BytesIO(expected), model.config)
        again = model.decode(contents.codes)
    assert file.getvalue() == expected
    assert torch.equal(again.as_subclass(torch.Tensor), decoded)


def test_recordings_coded_piece_by_piece_on_another_device(model):
    audio = noise(model)

    def coded() -> tuple[bytes, np.ndarray]:
        file = io.BytesIO()
        writer = ecdc.open_writer(file, model.config, model.config.codebooks(6), SAMPLES)
        stream = AudioStream("test", model.config.sample_rate, model.config.channels, SAMPLES, iter([audio]))
        assert sum(recordings.encode(stream, model, 6, writer)) == SAMPLES
        reader = ecdc.open_reader(io.BytesIO(file.getvalue()), model.config)
        return file.getvalue(), np.concatenate([*recordings.decode(model, reader, "test")], axis=1)

    data, decoded = coded()
    moved(model)
    with OtherDevice():
        data_there, decoded_there = coded()
    assert data_there == data
    np.testing.assert_array_equal(decoded_there, decoded)


def test_codes_load_no_torch():
    command = "import sys, earmark.codec.encodec.codes; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_codes_without_a_length_are_written_whole(format):
    """75 steps of 320 samples; at 48 kHz a segment has 150 steps, and the second one begins after 47520 samples."""
    model, file = small_model("encodec_24khz"), io.BytesIO()
    ecdc.write(file, Codes.from_array(np.ones((2, 75), np.int16)), model.config, format=format)
    assert ecdc.read(io.BytesIO(file.getvalue()), model.config).codes.samples == 75 * 320
    model, file = small_model("encodec_48khz"), io.BytesIO()
    codes = Codes.from_array(np.ones((2, 190), np.int16), steps=[150, 40], scales=np.ones((1, 2), np.float32))
    ecdc.write(file, codes, model.config, format=format)
    assert ecdc.read(io.BytesIO(file.getvalue()), model.config).codes.samples == 47520 + 40 * 320


@pytest.mark.parametrize(
    ("value", "samples", "says"),
    [
        (65541, None, r"code 65541 at \[batch, codebook, step\] = \[0, 1, 2\]"),  # 5 in 16 bits
        (5, 2000, "codes of 10 steps in 1 segments, where 2000 samples have 7 steps in 1"),  # 2000 / 320 = 6.25
    ],
)
def test_codes_that_no_file_can_hold_are_refused(value, samples, says):
    codes = np.zeros((2, 10), np.int64)
    codes[1, 2] = value
    with pytest.raises(UserError, match=says):
        ecdc.write(io.BytesIO(), Codes.from_array(codes, samples), small_model("encodec_24khz").config)
