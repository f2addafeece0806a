"""Loudness against the values that ITU-R BS.1770 and EBU Tech 3341 publish."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.eval.levels import HIGHEST_PEAK_DB, SILENCE_LUFS, TARGET_LUFS, loudness, match

RATE = 48000


def sine(level_db: float, channels: int = 1, seconds: float = 5.0, frequency: float = 1000.0) -> np.ndarray:
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(wave[None], channels, axis=0).astype(np.float32)


def test_a_full_scale_sine_in_one_channel_reads_minus_3_01():
    """BS.1770-4, annex 1: 0 dBFS, 1 kHz (997 Hz) in one front channel gives -3.01 LKFS."""
    assert loudness(sine(0, frequency=997), RATE) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_stereo_sine_reads_its_level(level):
    """EBU Tech 3341, cases 1 and 2: a 1 kHz stereo sine at -23 (-33) dBFS peak reads -23.0 (-33.0) LUFS +-0.1."""
    assert loudness(sine(level, channels=2, seconds=20), RATE) == pytest.approx(level, abs=0.1)


def test_silence_has_the_gates_loudness():
    assert loudness(np.zeros((1, RATE), np.float32), RATE) == SILENCE_LUFS
    assert loudness(np.zeros((1, 10), np.float32), RATE) == SILENCE_LUFS


def test_conditions_are_brought_to_one_loudness_and_the_gains_are_told():
    signals = {"a": sine(-23 - 3, 1), "b": sine(-40, 1)}
    levels = match(signals, RATE)
    for name, (gain, after) in levels.items():
        assert after == pytest.approx(TARGET_LUFS)
        assert loudness(signals[name] * np.float32(10 ** (gain / 20)), RATE) == pytest.approx(TARGET_LUFS, abs=0.01)
    # Both are sines: 14 dB apart before, so 14 dB apart in gain.
    assert levels["b"][0] - levels["a"][0] == pytest.approx(14, abs=0.01)


def test_no_condition_clips_and_all_give_way_together():
    """A click far above a quiet tone would pass full scale at -23 LUFS, so the whole item is lowered."""
    click = sine(-60)
    click[0, 1000] = 0.9
    signals = {"plain": sine(-60), "click": click}
    levels = match(signals, RATE)
    peaks = {name: np.abs(signals[name]).max() * 10 ** (gain / 20) for name, (gain, _) in levels.items()}
    assert max(peaks.values()) == pytest.approx(10 ** (HIGHEST_PEAK_DB / 20))
    assert levels["plain"][1] == pytest.approx(levels["click"][1])
    assert levels["plain"][1] < TARGET_LUFS - 3


def test_a_silent_condition_keeps_its_level():
    assert match({"a": sine(-30), "b": np.zeros((1, RATE), np.float32)}, RATE)["b"] == (0.0, SILENCE_LUFS)
