"""AMR-WB in all nine modes: bits as in the standard's table, delay as the sum of its parts, a missing library."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.baselines import amr_wb
from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.audio import read
from earmark.codec.errors import UserError

MODES = ["6.6", "8.85", "12.65", "14.25", "15.85", "18.25", "19.85", "23.05", "23.85"]


@pytest.fixture(autouse=True)
def installed():
    if (reason := families()["amr_wb"].unavailable()) is not None:
        pytest.skip(reason)


def codec(text: str):
    system = parse(text)
    return family_of(system).open(system, 16000, 1)


def voice(seconds: float = 1.0) -> np.ndarray:
    """A pulse train of 120 Hz through a resonance, with a slow envelope, as speech codecs model it."""
    time = np.arange(round(seconds * 16000))
    pulses = (time % 133 == 0).astype(float)
    resonance = 0.98 ** np.arange(400) * np.cos(0.25 * np.arange(400))
    return (0.3 * np.convolve(pulses, resonance)[: time.size] * (1 + np.sin(time / 3000)) / 2)[None].astype(np.float32)


@pytest.mark.parametrize("kbps", MODES)
def test_core_bits_are_counted_not_bytes(kbps):
    """Nominal kbps x 20 ms = bits per frame; a second and the delay of 95 samples are 51 frames."""
    encoded = codec(f"amr_wb@{kbps}").encode(voice())
    assert len(encoded.packets) == 51
    assert encoded.payload_bits == 51 * round(float(kbps) * 20)
    assert {len(packet) for packet in encoded.packets} == {-(-round(float(kbps) * 20) // 8)}


def test_12_65_has_253_bits_a_frame():
    assert codec("amr_wb@12.65").encode(voice(0.1)).payload_bits == 253 * 6


@pytest.mark.parametrize("kbps", MODES)
def test_every_mode_is_aligned(kbps):
    one, audio = codec(f"amr_wb@{kbps}"), voice(2)
    decoded = one.decode(one.encode(audio))
    errors = [np.mean((np.roll(decoded, shift) - audio) ** 2) for shift in (-3, -2, -1, 0, 1, 2, 3)]
    assert abs(int(np.argmin(errors)) - 3) <= 1
    assert np.corrcoef(decoded[0], audio[0])[0, 1] > 0.7


@pytest.mark.parametrize("samples", [1, 225, 226, 319, 320, 321, 16001])
def test_every_length_comes_back(samples):
    one = codec("amr_wb@12.65")
    decoded = one.decode(one.encode(voice(2)[:, :samples]))
    assert decoded.shape == (1, samples)
    assert decoded.dtype == np.float32


def test_the_end_of_the_source_is_coded_too():
    one, audio = codec("amr_wb@23.85"), voice()
    assert np.std(one.decode(one.encode(audio))[0, -160:]) > 0.5 * np.std(audio[0, -160:])


def test_each_file_starts_afresh_and_two_runs_are_identical():
    one, audio = codec("amr_wb@12.65"), voice()
    first = one.encode(audio)
    assert one.encode(audio) == first
    np.testing.assert_array_equal(one.decode(first), codec("amr_wb@12.65").decode(first))


def test_stereo_is_two_channels_at_twice_the_rate():
    stereo = np.repeat(voice(), 2, axis=0)
    result = transcode(codec("amr_wb@12.65"), stereo, 16000)
    assert result.audio.shape == stereo.shape
    assert result.payload_bits == 2 * 51 * 253


def test_silence_and_full_scale_come_through():
    one = codec("amr_wb@12.65")
    assert np.abs(one.decode(one.encode(np.zeros((1, 16000), np.float32)))).max() < 0.001
    assert np.isfinite(one.decode(one.encode(np.full((1, 16000), 2, np.float32)))).all()


def test_more_bits_are_nearer_to_real_speech(shared):
    recording = read(shared / "audio" / "speech_libri_f_198.ogg")
    audio = recording.samples[:, : 5 * recording.sample_rate]

    def error(kbps: str) -> float:
        return float(np.mean((transcode(codec(f"amr_wb@{kbps}"), audio, recording.sample_rate).audio - audio) ** 2))

    assert error("23.85") < error("12.65") < error("6.6")


def test_another_rate_is_refused_with_the_nearest_mode():
    with pytest.raises(UserError, match=r"try amr_wb@12\.65"):
        parse("amr_wb@13")


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(amr_wb, "find_encoder", lambda: None)
    assert "apt-get install libvo-amrwbenc0" in families()["amr_wb"].unavailable()
    monkeypatch.setattr(amr_wb, "find_encoder", lambda: "/nowhere/libvo-amrwbenc.so")
    assert "EARMARK_VO_AMRWBENC" in families()["amr_wb"].unavailable()
