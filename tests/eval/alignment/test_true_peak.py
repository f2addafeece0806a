"""True peak by the examples of ITU-R BS.1770-5, annex 2, and by sines whose peaks are known."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.eval.alignment import blocks
from earmark.eval.alignment.true_peak import beyond_full_scale, true_peak_db


def sine(cycles_per_sample: float, phase: float, length: int = 4800, gain: float = 1.0) -> np.ndarray:
    angle = 2 * np.pi * cycles_per_sample * np.arange(length) + phase
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 500)  # a start has peaks of its own
    return (gain * fade * np.sin(angle))[None].astype(np.float32)


def test_a_sine_between_whose_samples_the_peaks_lie():
    """At a quarter of the rate and 45 degrees, all samples are at sin 45 degrees, -3.01 dB; the peak is 0 dBTP."""
    signal = sine(1 / 4, np.pi / 4)
    assert 20 * np.log10(np.abs(signal).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak_db(signal) == pytest.approx(0, abs=0.2)  # tolerance of EBU Tech 3341: +0.2, -0.4 dB


@pytest.mark.parametrize(
    ("divisor", "degrees", "gain"), [(4, 0, 0.5), (4, 45, 0.5), (6, 60, 0.5), (8, 67.5, 0.5), (4, 45, 1.41)]
)
def test_sines_of_ebu_tech_3341(divisor, degrees, gain):
    """Its cases 15 to 19, with its tolerance of +0.2 and -0.4 dB; gain 1.41 is +3.0 dBTP."""
    error = true_peak_db(sine(1 / divisor, np.radians(degrees), gain=gain)) - 20 * np.log10(gain)
    assert -0.4 <= error <= 0.2


def test_the_peak_of_samples_counts_and_silence_has_none():
    impulse = np.zeros((2, 100), np.float32)
    assert true_peak_db(impulse) is None
    impulse[1, 50] = -0.5
    assert true_peak_db(impulse) == pytest.approx(20 * np.log10(0.5))


@pytest.mark.parametrize("at", [0, 511, 512, 523, 524, 1999])
def test_peaks_at_edges_of_blocks(monkeypatch, at):
    """Two equal samples, 1 and 1: between them the filter has 2 (0.7798 + 0.4651 - 0.2003 ...), whatever the block."""
    signal = np.zeros((1, 2001), np.float32)
    signal[0, at : at + 2] = 1
    whole = true_peak_db(signal)
    monkeypatch.setattr(blocks, "BLOCK", 512)
    assert true_peak_db(signal) == whole
    assert whole == pytest.approx(20 * np.log10(0.7797851562500 + 0.4650878906250), abs=1e-4)


def test_samples_beyond_full_scale_are_counted():
    assert beyond_full_scale(np.array([[1.0, -1.0, 1.001], [-2.04, 0, 0]], np.float32)) == 2
