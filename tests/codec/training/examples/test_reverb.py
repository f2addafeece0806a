"""Reverberation: Schroeder's integration, simulated and measured rooms, and the convolution."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from earmark.codec.errors import UserError
from earmark.codec.training.examples.reverb import (
    MeasuredRooms,
    SimulatedRooms,
    reverberate,
    reverberation_time,
    simulate,
)

RATE = 24000


def decay(rt60: float, seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    """A response that decays by exactly 60 dB in rt60 seconds: 10^(-3 t / rt60)."""
    return 10 ** (-3 * np.arange(round(seconds * rate)) / rate / rt60)


# Schroeder's backward integration


@pytest.mark.parametrize("rt60", [0.3, 0.7, 1.3])
def test_reverberation_time_of_an_exponential_decay_is_exact(rt60):
    assert reverberation_time(decay(rt60), RATE) == pytest.approx(rt60, rel=1e-3)


@pytest.mark.parametrize("seconds", [1 / RATE, 0.2])
def test_early_sound_does_not_change_the_reverberation_time(seconds):
    """T30 starts at -5 dB. Direct sound and early reflections with the energy of the tail take 3 dB of the curve."""
    tail = decay(0.8)
    early = np.ones(round(seconds * RATE))
    early *= np.sqrt(np.square(tail).sum() / len(early))
    assert reverberation_time(np.concatenate([early, tail]), RATE) == pytest.approx(0.8, rel=1e-3)


def test_level_does_not_change_the_reverberation_time():
    assert reverberation_time(1e-6 * decay(0.5), RATE) == pytest.approx(reverberation_time(decay(0.5), RATE))


@pytest.mark.parametrize("response", [np.zeros(100), np.ones(1), np.zeros(0), np.ones(100)[:2]])
def test_no_decay_has_no_reverberation_time(response):
    assert np.isnan(reverberation_time(response, RATE))


# Simulated rooms


@pytest.mark.parametrize("rt60", [0.3, 0.5, 0.9, 1.3])
@pytest.mark.parametrize("rate", [24000, 48000])
def test_simulated_rooms_have_the_given_reverberation_time(rt60, rate):
    for seed in range(5):
        response = simulate(np.random.default_rng(seed), rt60, rate, channels=2)
        for channel in response:
            assert reverberation_time(channel, rate) == pytest.approx(rt60, rel=0.05)


def test_reverberation_times_are_spread_over_the_range():
    """Uniform in [0.3, 1.3] s: mean 0.8, deviation 1 / sqrt(12) = 0.29; 100 draws, within 4 standard errors."""
    rooms = SimulatedRooms(8000)
    rng = np.random.default_rng(0)
    times = np.array([reverberation_time(rooms.draw(rng, 1)[0], 8000) for _ in range(100)])
    assert times.mean() == pytest.approx(0.8, abs=4 * 0.029)
    assert times.min() < 0.4
    assert times.max() > 1.2


def test_a_simulated_response_starts_with_direct_sound_and_a_pause():
    response = simulate(np.random.default_rng(1), 0.5, RATE, channels=2)
    assert np.abs(response).argmax(axis=1).tolist() == [0, 0]
    assert response[0, 0] == response[1, 0]
    assert not response[:, 1:70].any()  # no reflection within 3 ms, 72 samples


def test_channels_have_different_reflections():
    """The correlation of independent Gaussian tails is about 1/sqrt(n) for n effective samples, here thousands."""
    left, right = simulate(np.random.default_rng(2), 1.0, RATE, channels=2)[:, 1:]
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.1


def test_the_same_seed_draws_the_same_room():
    rooms = SimulatedRooms(RATE)
    first, second = (rooms.draw(np.random.default_rng(3), 1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32


# Measured rooms


def test_responses_outside_the_range_or_damaged_are_skipped(tmp_path):
    (tmp_path / "damaged.wav").write_bytes(b"nothing")
    for number, rt60 in enumerate([0.1, 0.6, 2.5]):
        soundfile.write(tmp_path / f"{number}.wav", 0.5 * decay(rt60, 4.0, 16000), 16000, subtype="FLOAT")
    rooms = MeasuredRooms(tmp_path, RATE)
    rng = np.random.default_rng(0)
    for _ in range(5):
        response = rooms.draw(rng, channels=2)
        assert response.shape[0] == 2
        assert reverberation_time(response[0], RATE) == pytest.approx(0.6, rel=0.02)
        np.testing.assert_array_equal(response[0], response[1])


def test_measured_responses_start_with_the_direct_sound(tmp_path):
    """The delay from source to microphone would only shift the signal."""
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(500), decay(0.6)]), RATE, subtype="FLOAT")
    response = MeasuredRooms(tmp_path, RATE).draw(np.random.default_rng(0), 1)
    assert np.abs(response[0]).argmax() == 0


def test_a_measured_response_is_read_once(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", decay(0.5), RATE)
    rooms = MeasuredRooms(tmp_path, RATE)
    first = rooms.draw(np.random.default_rng(0), 1)
    (tmp_path / "a.wav").unlink()
    np.testing.assert_array_equal(rooms.draw(np.random.default_rng(1), 1), first)


def test_identity_depends_on_the_files(tmp_path):
    for name, seconds in (("a", 3.0), ("b", 3.0), ("c", 2.0)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "room.wav", decay(0.5, seconds), RATE)
    same, again, other = (MeasuredRooms(tmp_path / name, RATE).identity for name in "abc")
    assert same == again
    assert len({same, other, SimulatedRooms(RATE).identity}) == 3


def test_surplus_channels_of_a_response_are_dropped(tmp_path):
    tetrahedron = np.stack([decay(0.6), 0.5 * decay(0.7), decay(0.8), decay(0.9)], axis=1)
    soundfile.write(tmp_path / "a.wav", tetrahedron, RATE, subtype="FLOAT")
    response = MeasuredRooms(tmp_path, RATE).draw(np.random.default_rng(0), 2)
    times = [reverberation_time(channel, RATE) for channel in response]
    assert times == pytest.approx([0.6, 0.7], rel=0.02)
    assert response[1, 0] == pytest.approx(response[0, 0] / 2, rel=1e-3)  # the balance of the channels is kept


def test_unusable_rooms(tmp_path):
    with pytest.raises(UserError, match="no impulse responses"):
        MeasuredRooms(tmp_path, RATE)
    soundfile.write(tmp_path / "dry.wav", decay(0.05), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"RT60 of 0\.3-1\.3 s"):
        MeasuredRooms(tmp_path, RATE)


# Convolution


def test_reverberation_is_the_valid_convolution():
    rng = np.random.default_rng(0)
    samples, response = rng.standard_normal((2, 500)), rng.standard_normal((2, 80))
    expected = [np.convolve(x, h, mode="valid") for x, h in zip(samples, response, strict=True)]
    result = reverberate(samples.astype(np.float32), response.astype(np.float32))
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert result.shape == (2, 500 - 80 + 1)


def test_reverberation_keeps_the_level_of_noise_from_the_first_sample():
    """A response of energy 1 keeps the level of white noise, without a fade-in, thanks to the lead."""
    rng = np.random.default_rng(0)
    response = simulate(rng, 0.5, RATE, channels=1)
    noise = rng.standard_normal((1, 20 * RATE)).astype(np.float32)
    wet = reverberate(noise, response)
    assert wet.std() == pytest.approx(1, rel=0.1)
    assert wet[:, :1000].std() == pytest.approx(1, rel=0.25)
