"""EnCodec against the public reference with the same random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark.codec.audio import read, resample
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, PRESETS, EncodecConfig, SEANetConfig
from earmark.codec.errors import UserError

HOP_512 = EncodecConfig(
    "wide", 44100, tuple(round(0.87 * n, 2) for n in range(1, 33)), SEANetConfig(ratios=(8, 8, 4, 2))
)
SLOW = EncodecConfig("slow", 24000, (0.125, 1.0), SEANetConfig(ratios=(8, 8, 6, 5)))

MODELS = [("encodec_24khz", 0), ("encodec_24khz", 1), ("encodec_48khz", 0)]


def signal(name: str, seconds: float, seed: int = 0) -> torch.Tensor:
    config = PRESETS[name]
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(1, config.channels, round(seconds * config.sample_rate), generator=generator)


def assert_same_codes(reference, model, audio, kbps):
    """Require identical codes, except if the squared distances to two codewords differ by less than 1e-5.

    The residual then differs, so the later codebooks of that step are not compared.
    """
    reference.set_target_bandwidth(kbps)
    with torch.no_grad():
        theirs = reference.encode(audio)
    ours = model.encode(audio, kbps)
    assert len(ours.segments) == len(theirs)
    ties = 0
    for segment, (codes, scale) in zip(ours.segments, theirs, strict=True):
        assert segment.codes.shape == codes.shape
        if scale is not None:
            torch.testing.assert_close(segment.scale, scale[:, 0])
        for step in (segment.codes != codes).any(dim=1).nonzero()[:, 1].tolist():
            book = int((segment.codes[0, :, step] != codes[0, :, step]).nonzero()[0])
            codewords = model.quantizer.codebooks[book][[segment.codes[0, book, step], codes[0, book, step]]]
            start = ours.segments.index(segment) * (model.config.stride_samples or 0)
            part = audio[..., start : start + (model.config.segment_samples or audio.shape[-1])]
            with torch.no_grad():
                latent = reference.encoder(part / scale[:, :, None] if scale is not None else part)[0, :, step]
            for earlier in range(book):
                latent = latent - model.quantizer.codebooks[earlier][codes[0, earlier, step]]
            distances = (codewords - latent).square().sum(dim=1)
            assert abs(float(distances[0] - distances[1])) < 1e-5
            ties += 1
    return theirs, ours, ties


@pytest.mark.parametrize(("name", "seed"), MODELS)
def test_codes_and_audio_equal_those_of_the_reference(pair, name, seed):
    reference, model = pair(name, seed)
    audio = signal(name, 1.1 if model.config.segment_samples else 0.6, seed)  # two segments, if there are any
    for kbps in model.config.kbps:
        theirs, ours, _ = assert_same_codes(reference, model, audio, kbps)
        with torch.no_grad():
            expected = reference.decode(theirs)[..., : audio.shape[-1]]
        decoded = model.decode(ours)
        assert decoded.shape == audio.shape
        assert (decoded - expected).abs().max() < 1e-4


@pytest.mark.parametrize("name", PRESETS)
def test_real_clips(pair, shared, name):
    reference, model = pair(name, 2)
    for clip in ("speech_lyra_1_48k.wav", "music_encodec_48k_stereo.wav"):
        recording = read(shared / "audio" / clip)
        samples = resample(
            recording.samples[:, : 3 * recording.sample_rate // 2], recording.sample_rate, model.config.sample_rate
        )
        channels = np.broadcast_to(
            samples[:1] if model.config.channels == 1 else samples, (model.config.channels, samples.shape[1])
        )
        audio = torch.from_numpy(channels.copy())[None]
        theirs, ours, _ = assert_same_codes(reference, model, audio, 6.0)
        with torch.no_grad():
            expected = reference.decode(theirs)[..., : audio.shape[-1]]
        assert (model.decode(ours) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("samples", [1, 2, 319, 320, 321, 6401])
def test_every_length_comes_back(pair, samples):
    reference, model = pair("encodec_24khz", 0)
    audio = signal("encodec_24khz", 1)[..., :samples]
    theirs, ours, _ = assert_same_codes(reference, model, audio, 3.0)
    decoded = model.decode(ours)
    assert decoded.shape == audio.shape
    with torch.no_grad():
        assert (decoded - reference.decode(theirs)[..., :samples]).abs().max() < 1e-4


def test_the_segments_of_a_stereo_signal():
    """Segments of 1 s that overlap by 1 %: 48000 samples every 47520."""
    assert ENCODEC_48KHZ.segments(100000) == [(0, 48000), (47520, 95520), (95040, 100000)]
    assert ENCODEC_24KHZ.segments(100000) == [(0, 100000)]


@pytest.mark.parametrize(
    ("config", "codebooks"),
    [
        (ENCODEC_24KHZ, {1.5: 2, 3.0: 4, 6.0: 8, 12.0: 16, 24.0: 32}),
        (ENCODEC_48KHZ, {3.0: 2, 6.0: 4, 12.0: 8, 24.0: 16}),
        (HOP_512, {round(0.87 * n, 2): n for n in range(1, 33)}),  # 86.1 steps per second, which others round to 87
        (SLOW, {0.125: 1, 1.0: 8}),  # 12.5 steps per second of 10 bits, which rounded to 13 give 7 codebooks
    ],
)
def test_codebooks_of_a_bit_rate(config, codebooks):
    """Paper, section 3.2: 10 bits per code, 75 steps per second at 24 kHz and 150 at 48 kHz."""
    assert {kbps: config.codebooks(kbps) for kbps in config.kbps} == codebooks
    with pytest.raises(UserError, match=f"{config.name}@5.5: {config.name} has"):
        config.codebooks(5.5)


def test_wrong_channels_are_refused(pair):
    _, model = pair("encodec_24khz", 0)
    with pytest.raises(UserError, match="it takes \\[1, time\\]"):
        model.encode(torch.zeros(2, 100))


def test_a_batch_gives_what_each_signal_gives(pair):
    _, model = pair("encodec_24khz", 0)
    batch = torch.cat([signal("encodec_24khz", 0.5, seed) for seed in range(3)])
    together = model.encode(batch, 6.0)
    for index in range(3):
        alone = model.encode(batch[index : index + 1], 6.0)
        agreement = (together.segments[0].codes[index] == alone.segments[0].codes[0]).float().mean()
        assert agreement > 0.999  # apart from ties


@pytest.mark.parametrize("name", PRESETS)
def test_signals_of_different_lengths_in_one_batch(pair, name):
    """Each signal gives the same codes and audio as alone, and the mask marks its steps."""
    _, model = pair(name, 0)
    lengths = [5000, 50000, 321]
    audio = torch.cat([signal(name, 2.2, seed)[..., :50000] for seed in range(3)])
    together = model.encode(audio, 6.0, lengths)
    decoded = model.decode(together)
    for index, length in enumerate(lengths):
        alone = model.encode(audio[index : index + 1, :, :length], 6.0)
        for batch, own in zip(together.segments, alone.segments, strict=False):
            steps = own.codes.shape[-1]
            assert batch.mask[index].sum() == steps
            assert torch.equal(batch.codes[index, :, :steps], own.codes[0])
        torch.testing.assert_close(decoded[index, :, :length], model.decode(alone)[0], rtol=0, atol=1e-5)
        assert not decoded[index, :, length:].any()


def test_numpy_in_numpy_out(pair):
    _, model = pair("encodec_24khz", 0)
    audio = signal("encodec_24khz", 0.1)
    decoded = model.decode(model.encode(audio.numpy(), 3.0))
    assert isinstance(decoded, np.ndarray)
    np.testing.assert_array_equal(decoded, model.decode(model.encode(audio, 3.0)).numpy())


@pytest.mark.parametrize("sequence", [list, tuple, np.array, torch.tensor])
def test_lengths_as_any_sequence(pair, sequence):
    _, model = pair("encodec_24khz", 0)
    audio = signal("encodec_24khz", 0.5).repeat(3, 1, 1)
    together = model.encode(audio.numpy(), 3.0, sequence([900, 12000, 7]))
    assert together.lengths == (900, 12000, 7)
    assert isinstance(model.decode(together), np.ndarray)


@pytest.mark.parametrize(
    "lengths", [[], [900], [900, 12000], [1, 2, 3, 4], [900, 12000, 0], [-10, 900, 7], [12001, 1, 1]]
)
def test_lengths_that_do_not_fit_the_batch_are_one_line(pair, lengths):
    _, model = pair("encodec_24khz", 0)
    with pytest.raises(UserError, match=r"lengths .* for a batch of 3; give one from 1 to 12000 per signal"):
        model.encode(signal("encodec_24khz", 0.5).repeat(3, 1, 1), 3.0, lengths)


def test_integers_are_refused_and_any_layout_in_memory_is_taken(pair):
    _, model = pair("encodec_24khz", 0)
    audio = signal("encodec_24khz", 0.1)[0].numpy()
    with pytest.raises(UserError, match="floating point, full scale at"):
        model.encode((32767 * audio).astype(np.int16), 3.0)
    backwards = np.ascontiguousarray(audio[:, ::-1])
    expected, actual = (model.encode(signal, 3.0).segments[0].codes for signal in (audio, backwards[:, ::-1]))
    assert torch.equal(expected, actual)
