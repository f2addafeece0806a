"""ITU-T P.56, method B: signals whose level is known, and a sample-by-sample account of the recommendation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from earmark.codec.audio import write
from earmark.eval.level_cli import level
from earmark.eval.speech_level import speech_level

RATE = 8000


def _tone(seconds: float, amplitude: float) -> NDArray[np.float32]:
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 997 * time)).astype(np.float32)


def test_a_steady_sine_has_its_rms_level():
    """A full-scale sine is at 10 lg(1/2) = -3.01 dBov, and one of a tenth 20 dB below; all of it is active.

    The envelope needs some 0.1 s to rise, hence the tolerance: 10 lg(10/9.9) = 0.04 dB.
    """
    for amplitude, expected in ((1.0, -3.01), (0.1, -23.01)):
        measured = speech_level(_tone(10, amplitude), RATE)
        assert measured.active == pytest.approx(expected, abs=0.05)
        assert measured.long_term == pytest.approx(expected, abs=0.005)
        assert measured.peak == pytest.approx(20 * math.log10(amplitude), abs=0.01)
        assert measured.activity == pytest.approx(1, abs=0.01)


def test_pauses_are_left_out():
    """10 s of a sine at -23.01 dBov and 10 s of silence, which halves the energy: -26.02 dBov over the whole.

    Active are 10 s, the hangover of 0.2 s, and the time t that the envelope takes to the threshold 15.9 dB below. It
    falls from the mean 2/pi * 0.1 to 0.0707 * 10^(-15.9/20) = 0.0113 as (1 + t/0.03) exp(-t/0.03) = 0.178, at 0.098 s,
    so the active level is 10 lg(10.3/10) = 0.13 dB below the sine's, and the activity is 10.3/20.
    """
    signal = np.concatenate([_tone(10, 0.1), np.zeros(10 * RATE, np.float32)])
    measured = speech_level(signal, RATE)
    assert measured.long_term == pytest.approx(-26.02, abs=0.01)
    assert measured.active == pytest.approx(-23.01 - 0.13, abs=0.03)
    assert measured.activity == pytest.approx(10.3 / 20, abs=0.005)


def test_silence_has_no_level():
    measured = speech_level(np.zeros(RATE, np.float32), RATE)
    assert (measured.active, measured.long_term, measured.peak, measured.activity) == (None, None, None, 0)


def _by_the_letter(x: NDArray[np.float64], rate: int) -> float:
    """P.56, clause 6, one sample after the other; the level is interpolated between the two nearest thresholds."""
    g, hangover = math.exp(-1 / (rate * 0.03)), math.ceil(rate * 0.2)
    thresholds = [2.0**-power for power in range(24, 0, -1)]
    counts, waits = [0] * len(thresholds), [hangover] * len(thresholds)
    p = q = squares = 0.0
    for sample in x:
        squares += sample * sample
        p = g * p + (1 - g) * abs(sample)
        q = g * q + (1 - g) * p
        for index, threshold in enumerate(thresholds):
            if q >= threshold:
                counts[index] += 1
                waits[index] = 0
            elif waits[index] < hangover:
                counts[index] += 1
                waits[index] += 1
    before = None
    for count, threshold in zip(counts, thresholds, strict=True):
        active = 10 * math.log10(squares / count)
        margin = active - 20 * math.log10(threshold)
        if margin <= 15.9 and before is not None:
            share = (before[0] - 15.9) / (before[0] - margin)
            return before[1] + share * (active - before[1])
        before = margin, active
    raise AssertionError("no margin of 15.9 dB")


def test_bursts_of_noise_as_the_recommendation_counts_them():
    rng = np.random.default_rng(56)
    loudness = np.repeat([0.3, 0.001, 0.1, 0.0005, 0.2], round(0.5 * RATE))
    signal = (loudness * rng.normal(0, 0.3, len(loudness))).astype(np.float32)
    expected = _by_the_letter(signal.astype(np.float64), RATE)
    assert speech_level(signal, RATE).active == pytest.approx(expected, abs=1e-6)


def test_the_command_measures_each_channel_and_goes_on_after_a_broken_file(tmp_path: Path):
    stereo = np.stack([_tone(10, 0.1), np.zeros(10 * RATE, np.float32)])
    write(tmp_path / "a.wav", stereo, RATE)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    done = CliRunner().invoke(
        level, [str(tmp_path / "b.wav"), str(tmp_path / "a.wav"), "--format", "csv"], standalone_mode=False
    )
    assert done.return_value == 1
    assert "b.wav: " in done.stderr
    heading, first, second = done.stdout.splitlines()
    assert heading == "file,channel,active_dbov,activity,whole_dbov,peak_dbov"
    assert float(first.split(",")[2]) == pytest.approx(-23.01, abs=0.05)
    assert second.endswith("a.wav,2,,0.0,,")
