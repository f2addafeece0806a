"""Small delays near a documented one, and what their removal leaves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.plain import fraction_left, signed_lag
from earmark.eval.alignment.result import DOCUMENTED, MAX_LAG, SEARCH
from earmark.eval.alignment.shift import placed


def noise(channels: int = 1, length: int = 4000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, length)).astype(np.float32)


@pytest.mark.parametrize("lag", range(-MAX_LAG, MAX_LAG + 1))
@pytest.mark.parametrize("channels", [1, 2])
def test_finds_and_removes_a_lag(lag, channels):
    """`decoded` is `reference` late by `lag`; the result equals the reference except at the ends."""
    reference = noise(channels)
    decoded = np.roll(reference, lag, axis=-1)
    assert signed_lag(reference, decoded) == lag
    back = placed(decoded, lag, decoded.shape[1])
    inner = slice(MAX_LAG, -MAX_LAG)
    np.testing.assert_array_equal(back[:, inner], reference[:, inner])


def test_a_coded_signal_is_found_under_its_noise():
    reference = noise()
    assert signed_lag(reference, np.roll(reference, 3, axis=-1) + 0.9 * noise(seed=1)) == 3


@pytest.mark.parametrize("signal", [np.zeros((1, 100), np.float32), np.zeros((2, 3), np.float32)])
def test_silence_has_no_lag(signal):
    assert signed_lag(signal, signal) == 0


def test_a_signal_shorter_than_the_search_range():
    assert signed_lag(noise(length=5), noise(length=5)) == 0


def test_unknown_samples_at_the_ends_are_zeros():
    signal = np.arange(1, 6, dtype=np.float32)[None]
    assert placed(signal, 2, 5).tolist() == [[3, 4, 5, 0, 0]]
    assert placed(signal, -2, 5).tolist() == [[0, 0, 1, 2, 3]]
    assert placed(signal, 0, 5).tolist() == signal.tolist()


def delayed(signal: np.ndarray, samples: float) -> np.ndarray:
    """Delay by a fraction of a sample: a phase proportional to frequency, circularly."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(signal.shape[-1]) * samples)
    return np.fft.irfft(np.fft.rfft(signal) * turn, signal.shape[-1]).astype(np.float32)


@pytest.mark.parametrize("fraction", [-0.45, -0.3, -0.1, 0.0, 0.2, 0.4])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_fraction_of_a_sample_that_is_left(fraction, channels):
    """In noise with most energy at low frequencies, like speech and music."""
    low = lfilter([1], [1, -1.8, 0.82], noise(channels, 20000)).astype(np.float32)
    assert fraction_left(low, delayed(low, fraction)) == pytest.approx(fraction, abs=0.03)
    late = delayed(low, 3 + fraction)
    assert fraction_left(low, placed(late, 3, low.shape[1])) == pytest.approx(fraction, abs=0.03)


def test_in_white_noise_the_fraction_is_underestimated():
    """A sinc delayed by 0.3 is -0.198, 0.858 and 0.368 at -1, 0 and 1; the vertex of their parabola is at 0.183."""
    before, here, after = np.sinc([-1.3, -0.3, 0.7])
    assert (before - after) / (2 * (before - 2 * here + after)) == pytest.approx(0.183, abs=0.001)
    white = noise(length=200_000)
    assert fraction_left(white, delayed(white, 0.3)) == pytest.approx(0.183, abs=0.01)


def test_without_a_peak_at_zero_there_is_no_fraction():
    signal = noise()
    assert fraction_left(signal, np.roll(signal, 1, axis=-1)) is None
    assert fraction_left(np.zeros((1, 100), np.float32), signal[:, :100]) is None
    assert fraction_left(signal[:, :1], signal[:, :1]) is None
    assert fraction_left(signal, -signal) is None


@pytest.mark.parametrize("system", ["opus@12", "opus@64", "mp3@64", "aac@64"])
@pytest.mark.parametrize("clip", ["speech_lyra_1_48k.wav", "music_vibe_ace.ogg"])
def test_no_more_than_half_a_sample_is_left_of_real_recordings(shared, system, clip):
    whole = audio.read(shared / "audio" / clip)
    samples = whole.samples[:, : 3 * whole.sample_rate]
    one = parse(system)
    codec = family_of(one).open(one, whole.sample_rate, whole.channels)
    decoded = transcode(codec, samples, whole.sample_rate).audio
    left = fraction_left(samples, placed(decoded, signed_lag(samples, decoded), samples.shape[1]))
    assert left is not None
    assert abs(left) <= 0.5


@pytest.mark.parametrize("clip", ["sound_robin.ogg", "speech_lyra_1_48k.wav"])
def test_audio_that_was_aligned_keeps_its_place_in_a_search(shared, clip):
    """Bird song at 6 kbps hardly matches its source, and peaks of its pitch, 7 samples apart, are about as high."""
    whole = audio.read(shared / "audio" / clip)
    samples = whole.samples[:, : 3 * whole.sample_rate]
    one = parse("opus@6")
    codec = family_of(one).open(one, whole.sample_rate, whole.channels)
    decoded = transcode(codec, samples, whole.sample_rate).audio
    once = align(samples, decoded, whole.sample_rate, DOCUMENTED)
    again = align(samples, once.audio, whole.sample_rate, SEARCH)
    assert again.alignment.removed == 0
