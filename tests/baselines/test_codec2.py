"""Codec 2 in its modes: exact bits, aligned envelopes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d
from scipy.signal import correlate

from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.audio import read, resample
from earmark.codec.errors import UserError

pytest.importorskip("pycodec2")

# Bits and milliseconds of a frame (codec2's README).
MODES = {"3.2": (64, 20), "2.4": (48, 20), "1.6": (64, 40), "1.4": (56, 40), "1.3": (52, 40), "1.2": (48, 40),
         "0.7": (28, 40)}  # fmt: skip


def codec(text: str):
    system = parse(text)
    return family_of(system).open(system, 8000, 1)


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((1, samples))).astype(np.float32)


def envelope(audio: np.ndarray) -> np.ndarray:
    """Level over 20 ms, zero-mean."""
    level = np.sqrt(uniform_filter1d(audio[0].astype(float) ** 2, 160))
    return level - level.mean()


@pytest.mark.parametrize(("kbps", "frame"), MODES.items())
def test_bits_of_a_frame_are_counted_not_bytes(kbps, frame):
    bits, milliseconds = frame
    assert bits / milliseconds == float(kbps)
    encoded = codec(f"codec2@{kbps}").encode(noise(8 * milliseconds * 10 - 240))  # ten frames or fewer with any delay
    assert encoded.payload_bits == len(encoded.packets) * bits
    assert len(encoded.packets) in (9, 10)


@pytest.mark.parametrize("kbps", MODES)
@pytest.mark.parametrize("samples", [1, 80, 159, 161, 8000])
def test_every_length_comes_back(kbps, samples):
    one = codec(f"codec2@{kbps}")
    decoded = one.decode(one.encode(noise(samples)))
    assert decoded.shape == (1, samples)
    assert decoded.dtype == np.float32


@pytest.mark.parametrize("kbps", MODES)
def test_envelopes_of_real_speech_are_in_place(kbps, shared):
    """Within 5 ms, a quarter of a frame; a vocoder that makes up its phases cannot be aligned more closely."""
    one, lags = codec(f"codec2@{kbps}"), []
    for name in ("speech_lyra_1_48k.wav", "speech_libri_f_198.ogg", "speech_libri_m_3436.ogg"):
        recording = read(shared / "audio" / name)
        audio = resample(recording.samples, recording.sample_rate, 8000)[:, :64000]
        similar = correlate(envelope(one.decode(one.encode(audio))), envelope(audio), method="fft")
        lags.append(int(np.argmax(similar)) - audio.shape[1] + 1)
    assert abs(np.median(lags)) <= 40


def test_two_runs_are_identical_and_each_file_starts_afresh():
    one, audio = codec("codec2@2.4"), noise(8000)
    encoded = one.encode(audio)
    assert one.encode(audio) == encoded
    decoded = one.decode(encoded)
    one.decode(one.encode(-audio))
    np.testing.assert_array_equal(one.decode(encoded), decoded)


def test_any_source_is_brought_to_8_khz_mono():
    result = transcode(codec("codec2@3.2"), np.repeat(noise(48000), 2, axis=0), 48000)
    assert result.audio.shape == (2, 48000)
    assert result.payload_bits == 2 * 51 * 64  # a second and the delay of 20 ms, twice


def test_other_rates_are_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"try codec2@2\.4"):
        parse("codec2@2.1")


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("earmark.codec.extras.find_spec", lambda name: None)
    assert "pip install 'earmark[codec2]'" in families()["codec2"].unavailable()
