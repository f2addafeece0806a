"""Delays that are known because the test made them."""

from __future__ import annotations

import numpy as np
import pytest

from eval.alignment import MAX_LAG, advance, estimate_lag


def noise(channels: int = 1, length: int = 4000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, length)).astype(np.float32)


@pytest.mark.parametrize("lag", range(-MAX_LAG, MAX_LAG + 1))
@pytest.mark.parametrize("channels", [1, 2])
def test_finds_and_removes_a_lag(lag, channels):
    """`decoded` is `reference` late by `lag`; what comes back equals the reference but for the ends."""
    reference = noise(channels)
    decoded = np.roll(reference, lag, axis=-1)
    assert estimate_lag(reference, decoded) == lag
    back = advance(decoded, lag)
    inner = slice(MAX_LAG, -MAX_LAG)
    np.testing.assert_array_equal(back[:, inner], reference[:, inner])


def test_a_coded_signal_is_found_under_its_noise():
    reference = noise()
    assert estimate_lag(reference, np.roll(reference, 3, axis=-1) + 0.9 * noise(seed=1)) == 3


@pytest.mark.parametrize("signal", [np.zeros((1, 100), np.float32), np.zeros((2, 3), np.float32)])
def test_silence_has_no_lag(signal):
    assert estimate_lag(signal, signal) == 0


def test_a_signal_shorter_than_the_search_range():
    assert estimate_lag(noise(length=5), noise(length=5)) == 0


def test_the_ends_are_zeros_where_nothing_is_known():
    signal = np.arange(1, 6, dtype=np.float32)[None]
    assert advance(signal, 2).tolist() == [[3, 4, 5, 0, 0]]
    assert advance(signal, -2).tolist() == [[0, 0, 1, 2, 3]]
    assert advance(signal, 0).tolist() == signal.tolist()
