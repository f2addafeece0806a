"""STOI against pystoi called directly."""

from __future__ import annotations

import numpy as np
import pystoi
import pytest

from earmark.codec.audio import resample
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import find

TOO_SHORT = Score(None, "undefined", "less than 0.41 s once pauses are removed")


def stoi(reference: np.ndarray, decoded: np.ndarray, rate: int = 16000) -> Score:
    return evaluate(find("stoi"), reference, decoded, rate)


def test_equals_the_library_on_the_same_samples(speech, noisy):
    x, y = resample(speech, 16000, 10000), resample(noisy, 16000, 10000)
    assert stoi(x, y, 10000).value == pytest.approx(pystoi.stoi(x[0], y[0], 10000), abs=1e-12)


def test_identical_signals_score_one(speech):
    assert stoi(speech, speech).value == pytest.approx(1, abs=1e-6)


def test_level_changes_nothing(speech, noisy):
    assert stoi(speech, np.float32(0.01) * noisy).value == pytest.approx(stoi(speech, noisy).value, abs=1e-6)


def test_noise_lowers_intelligibility(speech):
    noise = np.random.default_rng(2).standard_normal(speech.shape).astype(np.float32) * speech.std()
    values = [stoi(speech, speech + np.float32(gain) * noise).value for gain in (0.1, 0.5, 2)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] - 0.1


@pytest.mark.parametrize(("name", "rate"), [("speech_libri_f_198.ogg", 16000), ("speech_lyra_2_48k.wav", 48000)])
def test_equals_the_library_called_directly_at_any_rate(clip, name, rate):
    """Resampled by soxr instead of the library, one clip scored .651 for .618."""
    sound = clip(name, 3, rate)
    noise = np.random.default_rng(0).standard_normal(sound.shape).astype(np.float32) * sound.std()
    for gain in (0.03, 0.3, 1):
        decoded = sound + np.float32(gain) * noise
        assert stoi(sound, decoded, rate).value == pystoi.stoi(sound[0], decoded[0], rate)


@pytest.mark.parametrize("samples", [1, 50, 255, 256, 257, 4000, 4096])
def test_too_short_is_undefined_instead_of_a_crash_or_1e_5(samples):
    """31 frames of 256 samples, 128 apart: 4096 samples are needed, and pystoi drops the last frame that just fits."""
    sound = np.random.default_rng(0).uniform(-1, 1, (1, samples + 1)).astype(np.float32)[:, :samples]
    if samples > 1:
        assert stoi(sound, sound, 10000) == TOO_SHORT


def test_the_shortest_signal_that_has_a_value():
    sound = np.random.default_rng(0).uniform(-1, 1, (1, 4097)).astype(np.float32)
    assert stoi(sound, sound, 10000).value == pytest.approx(1, abs=1e-6)


def test_pauses_do_not_count():
    """0.3 s of sound in 3 s: pystoi would warn and return 1e-5."""
    sound = np.random.default_rng(0).uniform(-1, 1, (1, 30000)).astype(np.float32)
    sound[:, 3000:] *= 1e-4
    assert stoi(sound, sound, 10000) == TOO_SHORT
