"""Coding piece by piece gives the codes and audio of the whole signal; lost parts, and only those, are silent."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from earmark.codec import ecdc
from earmark.codec import recordings as coding
from earmark.codec.audio.blocks import AudioStream
from earmark.codec.ecdc.chunks import Chunks
from earmark.codec.encodec.codes import Codes
from earmark.codec.encodec.config import PRESETS, EncodecConfig, SEANetConfig
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError

SMALL = {
    name: replace(config, seanet=replace(config.seanet, filters=4, dimension=8, lstm=1))
    for name, config in PRESETS.items()
}
# Overlapping segments without a scale, of 1500 steps: more than the reader of the public format gives at once.
LONG_SEGMENTS = EncodecConfig(
    "long_segments", 1000, (5.0, 10.0), SEANetConfig(filters=2, dimension=8, ratios=(2,), lstm=0, causal=False),
    segment=3.0, overlap=0.1,
)  # fmt: skip
FILES = [(name, format) for name in PRESETS for format in ("earmark", "reference")]


def random_model(config: EncodecConfig, seed: int = 0) -> EncodecModel:
    torch.manual_seed(seed)
    model = EncodecModel(config).eval().requires_grad_(False)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.3)
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, EncodecModel]:
    made = {name: random_model(config) for name, config in SMALL.items()}
    for model in made.values():
        accelerate(model)
    return made


def noise(config: EncodecConfig, samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (config.channels, samples)).astype(np.float32)


def encoded(
    model: EncodecModel, audio: np.ndarray, *, block: int = 4096, length_known: bool = True, **options
) -> bytes:
    """An .ecdc file of audio that arrives in blocks."""
    config, samples = model.config, audio.shape[1]
    parts = (audio[:, start : start + block] for start in range(0, samples, block))
    stream = AudioStream("test", config.sample_rate, config.channels, samples if length_known else None, parts)
    file = io.BytesIO()
    kbps = config.kbps[1]
    writer = ecdc.open_writer(file, config, config.codebooks(kbps), stream.samples, **options)
    assert sum(coding.encode(stream, model, kbps, writer)) == samples
    return file.getvalue()


def decoded(model: EncodecModel, data: bytes) -> np.ndarray:
    reader = ecdc.open_reader(io.BytesIO(data), model.config)
    return np.concatenate([*coding.decode(model, reader, "test")], axis=1)


def without_chunks(data: bytes, *lost: int) -> bytes:
    """The file with one byte changed in each of the given chunks."""
    damaged = bytearray(data)
    start = data.index(b"\xec\xdc")  # the length of the payload is 6 bytes after a chunk's marker, the payload 12
    for index in range(max(lost) + 1):
        if index in lost:
            damaged[start + 12] ^= 1
        start += 12 + int.from_bytes(data[start + 6 : start + 8])
    return bytes(damaged)


# Intact files


@pytest.mark.parametrize(("name", "format"), FILES)
@pytest.mark.parametrize("samples", [1, 319, 2400, 47521, 48000, 48001, 130001])
@pytest.mark.parametrize("block", [4096, 200000])
def test_codes_and_length_are_those_of_the_whole_signal(models, name, format, samples, block):
    model = models[name]
    audio = noise(model.config, samples)
    contents = ecdc.read(io.BytesIO(encoded(model, audio, block=block, format=format)), model.config)
    wanted = model.encode(audio, model.config.kbps[1])
    assert contents.damage == ()
    assert contents.codes.samples == samples
    assert len(contents.codes.segments) == len(wanted.segments)
    for got, want in zip(contents.codes.segments, wanted.segments, strict=True):
        assert torch.equal(got.codes, want.codes)
        assert want.scale is None or torch.equal(got.scale, want.scale)


@pytest.mark.parametrize(("name", "format"), FILES)
@pytest.mark.parametrize("samples", [1, 319, 321, 47521, 48001, 130001])
def test_audio_and_length_are_those_of_the_whole_signal(models, name, format, samples):
    model = models[name]
    audio = noise(model.config, samples)
    wanted = model.decode(model.encode(audio, model.config.kbps[1]))[0]
    got = decoded(model, encoded(model, audio, format=format))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2700, 2701, 7001])
def test_segments_that_the_reader_yields_in_pieces(samples):
    """1 and 2 segments, the last begun by a single sample, and 3."""
    model = random_model(LONG_SEGMENTS)
    audio = noise(LONG_SEGMENTS, samples)
    wanted = model.decode(model.encode(audio, 10.0))[0]
    got = decoded(model, encoded(model, audio, format="reference"))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("samples", [1, 319, 321, 47521, 47841, 48001, 130001])
def test_a_length_that_is_known_only_at_the_end_is_kept(models, name, samples):
    model = models[name]
    data = encoded(model, noise(model.config, samples), length_known=False)
    assert ecdc.open_reader(io.BytesIO(data)).header.samples is None
    assert decoded(model, data).shape == (model.config.channels, samples)


def test_a_pipe_without_samples_is_refused(models):
    with pytest.raises(UserError, match="test: no samples in it at 24000 Hz"):
        encoded(models["encodec_24khz"], noise(SMALL["encodec_24khz"], 0), length_known=False)


def test_a_file_without_samples_decodes_to_no_samples(models):
    file = io.BytesIO()
    ecdc.open_writer(file, SMALL["encodec_24khz"], 2).close(0)
    assert decoded(models["encodec_24khz"], file.getvalue()).shape == (1, 0)


# Damage


@pytest.mark.parametrize("lost", [(0,), (1,), (1, 2), (0, 2), (3,)])
def test_lost_stretches_of_a_model_without_segments_are_silent(models, lost):
    """Chunks of 2 s; the last one, half as long, ends the signal. Fades of 5 ms are 120 samples."""
    model = models["encodec_24khz"]
    chunk, samples, fade = 48000, 7 * 24000, 120
    data = encoded(model, noise(model.config, samples))
    damaged = without_chunks(data, *lost)
    contents = ecdc.read(io.BytesIO(damaged), model.config)
    unmuted = model.decode(contents.codes).numpy()[0]
    got = decoded(model, damaged)
    assert got.shape == (1, samples)
    untouched = np.ones(samples, bool)
    for index in lost:
        start = index * chunk
        fades_out = 0 if index == 0 or index - 1 in lost else fade
        assert not got[0, start + fades_out : start + chunk].any()
        untouched[start : start + chunk + fade] = False
    np.testing.assert_allclose(got[0, untouched], unmuted[0, untouched], rtol=1e-4, atol=1e-5)
    assert (np.abs(got) <= np.abs(unmuted) + 1e-5).all()
    intact = model.decode(model.encode(noise(model.config, samples), 3.0))[0]
    before = lost[0] * chunk
    np.testing.assert_allclose(got[:, :before], intact[:, :before], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["encodec_48khz", "unscaled"])
def test_lost_segments_are_silent_and_fade_into_their_neighbours(models, name):
    """Segments of 1 s every 0.99 s: if segment 1 is lost, parts covered only by segments 0 or 2 do not change."""
    model = models["encodec_48khz"]
    if name == "unscaled":
        model = random_model(replace(SMALL["encodec_48khz"], normalize=False))
    audio = noise(model.config, 3 * 48000)
    data = encoded(model, audio)
    whole, got = decoded(model, data), decoded(model, without_chunks(data, 1))
    assert got.shape == whole.shape
    assert not got[:, 48000 : 2 * 47520].any()
    for intact in (slice(0, 47520), slice(47520 + 48000, None)):
        np.testing.assert_array_equal(got[:, intact], whole[:, intact])
    assert got[:, 47520:48000].any()
    assert got[:, 2 * 47520 : 47520 + 48000].any()


def test_a_truncated_file_is_silent_up_to_its_announced_end(models):
    model = models["encodec_24khz"]
    data = encoded(model, noise(model.config, 5 * 24000))
    reader = ecdc.open_reader(io.BytesIO(data[: len(data) // 2]), model.config)
    got = np.concatenate([*coding.decode(model, reader, "test")], axis=1)
    assert reader.damage
    assert got.shape == (1, 5 * 24000)
    assert got[:, :48000].any()
    assert not got[:, 48120:].any()
    with pytest.raises(UserError, match="test: damaged: no chunk of it is left"):
        decoded(model, data[: data.index(b"\xec\xdc") + 100])


def test_positions_of_chunks_that_these_tests_assume():
    header = ecdc.open_writer(io.BytesIO(), SMALL["encodec_24khz"], 2).header
    assert [Chunks(header).start(index) for index in range(4)] == [0, 48000, 96000, 144000]


def test_fades_by_hand():
    """Fade of 4 samples: 1, 3/4, 1/2, 1/4 into a stretch, and 0, 1/4, 1/2, 3/4 after it."""
    ones = np.ones((2, 20), np.float32)
    wanted = [1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1]
    got = coding.mute(ones, 100, [(103, 110)], 4)
    np.testing.assert_array_equal(got, [wanted, wanted])
    pieces = [coding.mute(ones[:, i : i + 3], 100 + i, [(103, 110)], 4) for i in range(0, 20, 3)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), got)
    assert coding.mute(ones, 0, [(0, 10)], 4)[0].tolist() == [0] * 11 + [0.25, 0.5, 0.75] + [1] * 6
    assert coding.mute(ones, 0, [(2, 4), (15, 20)], 2)[0].tolist() == [1, 1, 1, 0.5, 0, 0.5] + [1] * 10 + [0.5, 0, 0, 0]
    assert (coding.mute(ones, 0, [], 4) == 1).all()


# compress and decompress


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_compress_and_decompress(models, name, format):
    model = models[name]
    audio = noise(model.config, 50000)
    data = ecdc.compress(model, audio, 6, format)
    contents = ecdc.read(io.BytesIO(data), model.config)
    assert contents.header.format == format
    got = ecdc.decompress(model, data)
    assert got.shape == (1, model.config.channels, 50000)
    assert torch.equal(got, torch.from_numpy(model.decode(model.encode(audio, 6))))
    assert torch.equal(ecdc.decompress(model, ecdc.compress(model, torch.from_numpy(audio)[None], 6, format)), got)


def test_decompress_refuses_other_weights_damage_and_foreign_bytes(models):
    model = models["encodec_24khz"]
    data = ecdc.compress(model, noise(model.config, 24000), 3)
    with pytest.raises(UserError, match=r"by the weights [0-9a-f]{16} of encodec_24khz, not [0-9a-f]{16}"):
        ecdc.decompress(random_model(model.config, seed=1), data)
    with pytest.raises(UserError, match=r"damaged: .*earmark\.codec\.ecdc\.read returns the intact parts"):
        ecdc.decompress(model, data[:-1])
    with pytest.raises(UserError, match=r"not an \.ecdc file"):
        ecdc.decompress(model, b"RIFF" + bytes(100))


def test_no_codes_decode_to_no_audio(models):
    for model in models.values():
        assert model.decode(Codes((), 0)).shape == (1, model.config.channels, 0)
        assert model.decode(Codes((), 0, from_numpy=True)).shape == (1, model.config.channels, 0)
