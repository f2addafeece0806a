"""Levels in auditory bands against calculated values, and the bands against scipy's gammatone filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import freqz, gammatone
from visqol.gammatone import calc_center_freqs

from earmark.codec.training.losses.band_levels import BandLevels, band_filters

RATE = 24000


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def centres():
    """ViSQOL's, from low to high."""
    return calc_center_freqs(50, RATE / 2, 32)[::-1]


@pytest.mark.parametrize("band", [10, 16, 22, 28])
def test_a_band_is_a_gammatone_filter(band):
    """Compared within 1.5 ERB of the centre. scipy's filter has fourth order too, and gain 1 at its centre."""
    centre = centres()[band]
    erb = 24.7 * (1 + 0.00437 * centre)
    frequencies = np.arange(1025) * RATE / 2048
    near = abs(frequencies - centre) < 1.5 * erb
    _, response = freqz(*gammatone(centre, "iir", fs=RATE), worN=frequencies, fs=RATE)
    passed = band_filters(RATE, 2048, 32)[band].double().numpy() * 1024
    np.testing.assert_allclose(10 * np.log10(passed[near]), 20 * np.log10(abs(response[near])), atol=0.6)


@pytest.mark.parametrize("band", [5, 15, 25])
def test_the_level_of_white_noise(band):
    """With variance 0.01, a band has its share of the spectrum; the integral of (1 + x^2)^-4 is 5 pi / 16."""
    width = 1.019 * 24.7 * (1 + 0.00437 * centres()[band])
    wanted = 10 * np.log10(0.01 * width * 5 * np.pi / 16 / (RATE / 2))
    levels = BandLevels(RATE).levels(noise(1, 1, 40 * RATE))[..., band].double().numpy()
    assert 10 * np.log10((10 ** (levels / 10)).mean()) == pytest.approx(wanted, abs=0.35)


def test_the_level_of_a_tone_in_its_band():
    """A sine of amplitude 0.1 has -23 dB, all within the band at its frequency."""
    tone = 0.1 * torch.sin(2 * torch.pi * float(centres()[20]) / RATE * torch.arange(2 * RATE))
    assert BandLevels(RATE).levels(tone[None, None])[0, 0, 10:-10, 20].mean() == pytest.approx(-23.01, abs=0.1)


def test_twice_the_amplitude_is_six_decibels():
    audio = noise(2, 1, 9000)
    assert BandLevels(RATE)(audio, 2 * audio) == pytest.approx(6.0206, abs=1e-3)


def test_levels_below_the_floor_are_equal():
    """Noise of -100 dB in total differs from silence by 0 dB, with a gradient of 0 and not NaN."""
    audio = (1e-4 * noise(1, 1, 9000)).requires_grad_()
    distance = BandLevels(RATE)(torch.zeros(1, 1, 9000), audio)
    distance.backward()
    assert distance == 0
    assert not audio.grad.any()


def test_noise_above_the_floor_differs_from_silence():
    """The distance of noise of -60 dB from silence is that of its levels from the floor."""
    audio = (1e-2 * noise(1, 1, 9000)).requires_grad_()
    levels = BandLevels(RATE)
    distance = levels(torch.zeros(1, 1, 9000), audio)
    torch.testing.assert_close(distance, (levels.levels(audio) + 90).mean())
    distance.backward()
    assert (audio.grad * audio).sum() > 0  # less noise reduces the distance


def test_a_short_signal():
    assert BandLevels(RATE).levels(noise(1, 2, 300)).shape == (1, 2, 1, 32)
