"""Integrated loudness against the figures of ITU-R BS.1770-4 and against pyloudnorm's gating."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from earmark.codec.audio.loudness import LoudnessMeter, _coefficients


def sine(sample_rate: int, seconds: float, level: float) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * 997 * time)).astype(np.float32)


def measured(signal: np.ndarray, sample_rate: int, block: int = 4096) -> float | None:
    meter = LoudnessMeter(sample_rate, len(signal))
    for start in range(0, signal.shape[1], block):
        meter.push(signal[:, start : start + block])
    return meter.loudness()


def test_filters_are_those_of_the_tables():
    """BS.1770-4, tables 1 and 2, for 48 kHz."""
    (b, a), (b2, a2) = _coefficients(48000)
    np.testing.assert_allclose(b, [1.53512485958697, -2.69169618940638, 1.19839281085285], atol=1e-9)
    np.testing.assert_allclose(a, [1, -1.69065929318241, 0.73248077421585], atol=1e-9)
    assert b2 == [1, -2, 1]
    np.testing.assert_allclose(a2, [1, -1.99004745483398, 0.99007225036621], atol=1e-9)


@pytest.mark.parametrize("sample_rate", [48000, 44100, 24000, 8000])
def test_a_sine_of_997_hz_at_full_scale_has_minus_3_01(sample_rate):
    """BS.1770-4, note after equation 2; two channels of it have 3.01 LU more."""
    wave = sine(sample_rate, 3, 1.0)
    assert measured(wave[None], sample_rate) == pytest.approx(-3.01, abs=0.05 if sample_rate > 8000 else 0.2)
    assert measured(np.stack([wave, wave]), sample_rate) == pytest.approx(0, abs=0.05 if sample_rate > 8000 else 0.2)


def test_quiet_parts_are_gated():
    """10 s at -36 dB, 20 s at -23 dB, 10 s at -36 dB: the relative gate leaves the middle, as in EBU Tech 3341, 4."""
    parts = [sine(48000, seconds, 10 ** (level / 20)) for seconds, level in ((10, -36), (20, -23), (10, -36))]
    signal = np.concatenate(parts)
    got = measured(np.stack([signal, signal]), 48000)
    assert got == pytest.approx(-23, abs=0.1)


def test_blocks_of_any_length_and_another_implementation_give_the_same():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 5 * 24000)).astype(np.float32)
    noise[:, 48000:72000] *= 0.01
    got = measured(noise, 24000)
    assert measured(noise, 24000, 777) == pytest.approx(got, abs=1e-9)
    meter = pyloudnorm.Meter(24000, filter_class="DeMan")
    assert got == pytest.approx(meter.integrated_loudness(noise.T.astype(np.float64)), abs=0.05)


def test_silence_and_short_signals_have_none():
    assert measured(np.zeros((1, 48000), np.float32), 48000) is None
    assert measured(sine(48000, 0.3, 1)[None], 48000) is None
