"""Properties of every codec: length, alignment, repeatability, and the measured bit rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate, lfilter

from earmark.baselines.interface import Codec
from earmark.baselines.mp3 import DELAY
from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.audio import read, resample
from earmark.codec.errors import UserError

CODED = ["opus@12", "opus@64", "mp3@64", "aac@64"]


def codec(text: str, rate: int = 48000, channels: int = 1) -> Codec:
    system = parse(text)
    return family_of(system).open(system, rate, channels)


def pinkish(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise with most of its energy in low frequencies, which every codec keeps."""
    noise = np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
    return (0.05 * lfilter([1], [1, -0.95], noise)).astype(np.float32)


def measured_lag(source: np.ndarray, decoded: np.ndarray) -> int:
    return int(np.argmax(correlate(decoded[0], source[0], method="fft"))) - (source.shape[1] - 1)


@pytest.mark.parametrize("text", CODED)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 480, 959, 960, 48000, 50001])
def test_gives_back_the_length_of_the_source(text, channels, samples):
    audio = pinkish(2, 48000, channels)[:, :samples]
    one = codec(text, 48000, channels)
    decoded = one.decode(one.encode(audio))
    assert decoded.shape == audio.shape
    assert decoded.dtype == np.float32


@pytest.mark.parametrize("text", CODED)
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_the_documented_delay_is_removed(text, rate):
    """Opus resamples internally below 20 kbps, which leaves up to 5 samples; no other codec leaves more."""
    audio = pinkish(2, rate)
    result = transcode(codec(text, rate), audio, rate)
    assert result.audio.shape == audio.shape
    assert abs(measured_lag(audio, result.audio)) <= 5


@pytest.mark.parametrize("text", ["mp3@128", "aac@128"])
def test_mp3_and_aac_are_aligned_to_the_sample(text):
    audio = pinkish(2, 44100)
    one = codec(text, 44100)
    assert measured_lag(audio, one.decode(one.encode(audio))) == 0


def test_the_delay_of_mp3_is_that_of_its_parts():
    assert DELAY == 576 + 528 + 1


@pytest.mark.parametrize("text", CODED)
def test_the_end_of_the_source_is_coded_too(text):
    """The last 10 ms: a codec that ends too early by its delay would return silence there."""
    audio = pinkish(1, 48000)
    one = codec(text)
    tail = one.decode(one.encode(audio))[0, -480:]
    assert np.sqrt(np.mean(tail**2)) > 0.5 * np.sqrt(np.mean(audio[0, -480:] ** 2))


@pytest.mark.parametrize("text", CODED)
def test_two_runs_give_identical_bytes_and_samples(text):
    audio = pinkish(1, 48000)
    first, second = codec(text), codec(text)
    assert first.encode(audio) == second.encode(audio)
    np.testing.assert_array_equal(first.decode(first.encode(audio)), second.decode(second.encode(audio)))


@pytest.mark.parametrize("kbps", [32, 64, 128])
def test_a_constant_rate_is_the_requested_one(kbps):
    payload = codec(f"mp3@{kbps}").encode(pinkish(10, 48000)).payload_bits
    assert payload / 10 / 1000 == pytest.approx(kbps, rel=0.03)


@pytest.mark.parametrize("kbps", [16, 32, 64, 128, 192])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [24000, 48000])
def test_aac_chooses_a_sample_rate_at_which_it_keeps_its_average_rate(kbps, channels, rate):
    one = codec(f"aac@{kbps}", rate, channels)
    payload = one.encode(pinkish(10, one.sample_rate, channels)).payload_bits
    assert payload / 10 / 1000 == pytest.approx(kbps, rel=0.03)


@pytest.mark.parametrize(
    ("rate", "channels", "kbps", "native"),
    [
        (48000, 2, 16, 24000),  # 16000 / (24000 x 2) is a third of a bit per sample, the minimum
        (16000, 1, 128, 44100),  # 128000 / 44100 is 2.9 bits per sample; at 32000 it would be 4
        (44100, 2, 64, 44100),
        (96000, 1, 64, 48000),
    ],
)
def test_aac_takes_a_sample_rate_that_can_carry_the_bit_rate(rate, channels, kbps, native):
    assert codec(f"aac@{kbps}", rate, channels).sample_rate == native


@pytest.mark.parametrize("kbps", [12, 24, 64])
def test_a_variable_rate_is_near_the_requested_one(kbps):
    """Opus in constrained VBR spends less on easy signals and may not exceed the rate for long (RFC 6716, 2.1.8)."""
    payload = codec(f"opus@{kbps}").encode(pinkish(10, 48000)).payload_bits
    assert 0.7 * kbps < payload / 10 / 1000 < 1.15 * kbps


def test_opus_states_its_lookahead():
    """6.5 ms with application "audio" (RFC 6716, section 2: 2.5 ms MDCT overlap and 4 ms for the resampler)."""
    assert codec("opus@12", 48000).lookahead == 312  # type: ignore[attr-defined]
    assert codec("opus@12", 24000).lookahead == 156  # type: ignore[attr-defined]


def test_versions_are_recorded():
    assert families()["opus"].version().startswith("libopus 1.")
    assert families()["mp3"].version().startswith("LAME3.")
    assert families()["aac"].version().startswith("FFmpeg ")


@pytest.mark.parametrize(
    ("rate", "kbps", "native"),
    [
        (44100, 64, 44100),
        (16000, 64, 16000),
        (16000, 192, 32000),
        (48000, 8, 24000),
        (96000, 64, 48000),
        (9000, 32, 11025),
    ],
)
def test_mp3_takes_a_sample_rate_that_has_the_bit_rate(rate, kbps, native):
    assert codec(f"mp3@{kbps}", rate).sample_rate == native


class Recorder:
    """A codec of a fixed native format that passes the signal through."""

    name = "recorder"

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.sample_rate, self.channels = sample_rate, channels
        self.inner = codec("reference", sample_rate, channels)
        self.heard: list[tuple[int, ...]] = []

    def encode(self, audio):
        self.heard.append(audio.shape)
        return self.inner.encode(audio)

    def decode(self, encoded):
        return self.inner.decode(encoded)


def test_a_stereo_source_goes_through_a_mono_codec_channel_by_channel():
    audio = pinkish(0.1, 48000, channels=2)
    mono = Recorder(48000, 1)
    result = transcode(mono, audio, 48000)
    np.testing.assert_array_equal(result.audio, audio)
    assert mono.heard == [(1, 4800), (1, 4800)]
    assert result.payload_bits == 2 * 32 * 4800


def test_a_mono_source_goes_through_a_stereo_codec_and_comes_back_mono():
    audio = pinkish(0.1, 48000)
    stereo = Recorder(48000, 2)
    np.testing.assert_allclose(transcode(stereo, audio, 48000).audio, audio, atol=1e-7)
    assert stereo.heard == [(2, 4800)]


def test_another_native_rate_is_resampled_there_and_back():
    audio = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(22050) / 44100)[None].astype(np.float32)
    result = transcode(Recorder(48000, 1), audio, 44100)
    assert result.audio.shape == audio.shape
    middle = slice(4410, -4410)
    assert np.abs(result.audio[:, middle] - audio[:, middle]).max() < 1e-4


def test_a_codec_that_changes_the_length_is_refused():
    class Short(Recorder):
        def decode(self, encoded):
            return super().decode(encoded)[:, :-1]

    with pytest.raises(UserError, match=r"its decoder returned an array \[1, 4799\] for a source \[1, 4800\]"):
        transcode(Short(48000, 1), pinkish(0.1, 48000), 48000)


def spectral_distance(source: np.ndarray, decoded: np.ndarray) -> float:
    """Mean squared difference of log spectra, frames of 960 samples."""
    spectra = [
        np.log10(np.abs(np.fft.rfft(signal[0, : signal.shape[1] // 960 * 960].reshape(-1, 960))) + 1e-3)
        for signal in (source, decoded)
    ]
    return float(np.mean((spectra[0] - spectra[1]) ** 2))


@pytest.mark.parametrize(
    ("better", "worse"),
    [("opus@12", "opus@6"), ("mp3@64", "mp3@32"), ("aac@64", "aac@32"), ("lyra@9.2", "lyra@6"), ("lyra@6", "lyra@3.2"),
     ("amr_wb@23.85", "amr_wb@6.6")],
)  # fmt: skip
def test_more_bits_are_nearer_to_real_speech_in_the_spectrum(better, worse, shared, monkeypatch):
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(shared / "weights" / "lyra_v2"))
    if reason := family_of(parse(better)).unavailable():
        pytest.skip(reason)
    recording = read(shared / "audio" / "speech_lyra_1_48k.wav")
    rate = 16000 if better.startswith(("lyra", "amr_wb")) else recording.sample_rate
    audio = resample(recording.samples, recording.sample_rate, rate)
    near, far = (spectral_distance(audio, transcode(codec(text, rate), audio, rate).audio) for text in (better, worse))
    assert near < far


@pytest.mark.parametrize("text", ["opus@12", "mp3@64", "aac@64", "amr_wb@12.65", "lyra@6", "codec2@2.4"])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_silence_and_a_clip_of_10_ms_come_through(text, rate, shared, monkeypatch):
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(shared / "weights" / "lyra_v2"))
    if reason := family_of(parse(text)).unavailable():
        pytest.skip(reason)
    for audio in (np.zeros((1, rate), np.float32), pinkish(0.01, rate)):
        result = transcode(codec(text, rate), audio, rate)
        assert result.audio.shape == audio.shape
        assert np.isfinite(result.audio).all()
        assert result.payload_bits > 0
