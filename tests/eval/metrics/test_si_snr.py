"""SI-SNR against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import find

EQUAL = Score(None, "undefined", "the decoded signal equals the reference")
TIME = np.arange(48000) / 48000


def tone(hertz: float, amplitude: float = 1.0) -> np.ndarray:
    """[1, time], one second: whole periods, so that tones of different frequency are orthogonal."""
    return (amplitude * np.sin(2 * np.pi * hertz * TIME)).astype(np.float32)[None]


def si_snr(reference: np.ndarray, decoded: np.ndarray) -> Score:
    return evaluate(find("si_snr"), reference.astype(np.float32), decoded.astype(np.float32), 48000)


@pytest.mark.parametrize(("noise", "decibels"), [(1.0, 0.0), (0.1, 20.0), (0.001, 60.0), (10.0, -20.0)])
def test_orthogonal_noise_of_known_energy(noise, decibels):
    """10 log10(1^2 / noise^2)"""
    assert si_snr(tone(100), tone(100) + tone(250, noise)).value == pytest.approx(decibels, abs=1e-4)


@pytest.mark.parametrize("gain", [0.01, -1.0, 7.0])
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_gain_and_offset_change_nothing(gain, offset):
    assert si_snr(tone(100), gain * (tone(100) + tone(250, 0.1)) + offset).value == pytest.approx(20, abs=1e-3)
    assert si_snr(gain * tone(100) + offset, tone(100) + tone(250, 0.1)).value == pytest.approx(20, abs=1e-3)


def test_the_example_of_torchmetrics():
    """Its documentation of ScaleInvariantSignalNoiseRatio: tensor(15.0918)."""
    answer = si_snr(np.array([[3.0, -0.5, 2.0, 7.0]]), np.array([[2.5, 0.0, 2.0, 8.0]]))
    assert answer.value == pytest.approx(15.0918, abs=5e-5)


def test_sixteen_bits():
    """A full-scale sine rounded to 16 bits: 6.0206 * 16 + 1.7609 = 98.09 dB (any textbook on quantisation)."""
    sine = tone(997.3)
    assert si_snr(sine, np.round(sine * 2**15) / 2**15).value == pytest.approx(98.09, abs=0.1)


def test_a_silent_channel_does_no_harm():
    """Signal 1 on the left; noise 0.1 on the left and 0.2 on the right: 10 log10(1 / (0.01 + 0.04)) = 13.01 dB."""
    reference = np.concatenate([tone(100), tone(100, 0)])
    decoded = np.concatenate([tone(100) + tone(250, 0.1), tone(300, 0.2)])
    assert si_snr(reference, decoded).value == pytest.approx(10 * np.log10(20), abs=1e-4)


def test_one_gain_for_both_channels():
    """(1, 1) decoded as (1, 0.5): the projection has gain 0.75 and leaves (0.25, -0.25): 10 log10(0.75^2 / 0.25^2)."""
    reference = np.concatenate([tone(100), tone(250)])
    decoded = np.concatenate([tone(100), tone(250, 0.5)])
    assert si_snr(reference, decoded).value == pytest.approx(20 * np.log10(3), abs=1e-4)


def test_every_channel_loses_its_own_offset():
    offsets = np.array([[0.3], [-0.2]])
    reference = np.concatenate([tone(100), tone(250)])
    decoded = np.concatenate([tone(100) + tone(300, 0.1), tone(250) + tone(400, 0.1)]) + offsets
    assert si_snr(reference, decoded).value == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize("gain", [1.0, 1 / 3, -0.7, 1e-3, 123.4])
@pytest.mark.parametrize("offset", [0.0, 0.1, 0.9])
def test_equal_up_to_gain_and_offset_has_no_value(gain, offset):
    """float32 rounds a scaled copy by up to 2^-24 of each sample, which is not noise of a codec."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 48000)).astype(np.float32)
    assert si_snr(sound, np.float32(gain) * sound + np.float32(offset)) == EQUAL


def test_the_reference_itself_has_no_value(clip):
    for name in ("music_trumpet.ogg", "speech_lyra_1_48k.wav"):
        sound = clip(name, 5, 48000)
        assert si_snr(sound, sound.copy()) == EQUAL


def test_a_change_of_one_sample_by_one_step_of_16_bits_has_a_value(clip):
    """10 log10(|x|^2 / 2^-30): one wrong sample of 2^-15 is nearly orthogonal to the rest."""
    sound = clip("music_trumpet.ogg", 5, 48000)
    decoded = sound.copy()
    decoded[0, 1000] += 2**-15
    energy = np.square(sound - sound.mean(), dtype=np.float64).sum()
    assert si_snr(sound, decoded).value == pytest.approx(10 * np.log10(energy * 2**30), abs=0.05)


def test_nothing_of_the_reference():
    left, right = np.concatenate([tone(100), tone(100, 0)]), np.concatenate([tone(100, 0), tone(100)])
    assert si_snr(left, right) == Score(None, "undefined", "the decoded signal has nothing of the reference")


def test_one_sample():
    assert si_snr(np.ones((1, 1)), np.ones((1, 1))).status == "undefined"
