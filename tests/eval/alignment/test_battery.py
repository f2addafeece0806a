"""Delay, drift, jumps, gain and missing audio are measured as they were made.

tests/eval/comparison/test_fault_battery.py shows that no score of a comparison is wrong without a mark.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.result import MARKS, Alignment
from tests.eval.alignment.signals import FAULTS, RATE, clip, coded


@functools.cache
def outcome(signal: str, fault: str) -> Alignment:
    source = clip(signal)
    result = align(source, np.ascontiguousarray(FAULTS[fault][0](coded(source))), RATE)
    assert result.audio.shape == source.shape
    assert set(result.alignment.names) <= set(MARKS)
    return result.alignment


@pytest.mark.parametrize("signal", ["speech", "music", "noise"])
@pytest.mark.parametrize(
    ("fault", "delay"),
    [
        ("0 samples late", 0), ("1 samples late", 1), ("37 samples late", 37), ("47990 samples late", 47990),
        ("300 samples early", -300), ("half a sample late", 0.5), ("5000 samples late, cut", 5000),
    ],
)  # fmt: skip
def test_the_delay_is_found_to_a_fraction_of_a_sample(signal, fault, delay):
    alignment = outcome(signal, fault)
    assert alignment.removed == pytest.approx(delay, abs=0.01)
    assert alignment.clear
    assert alignment.sign == 1


@pytest.mark.parametrize("signal", ["speech", "music", "tone", "noise"])
@pytest.mark.parametrize("ppm", [10, 50, 200, -50])
def test_drift_is_measured(signal, ppm):
    alignment = outcome(signal, f"drift {ppm} ppm")
    assert alignment.drift_ppm == pytest.approx(ppm, rel=0.1, abs=2)  # 2 ppm are 0.1 samples in two seconds


@pytest.mark.parametrize("signal", ["speech", "music", "noise"])
def test_jumps_are_located(signal):
    (jump,) = outcome(signal, "100 samples repeated").jumps
    assert jump.samples == pytest.approx(100, abs=1)
    assert jump.at == pytest.approx(1.0, abs=0.3)


def test_missing_and_extra_audio_is_measured():
    assert outcome("speech", "last 0.5 s missing").missing_end == RATE // 2
    assert outcome("speech", "first 0.5 s missing").missing_start == RATE // 2
    assert outcome("speech", "last 0.5 s silent").missing_end == pytest.approx(RATE // 2, abs=2)
    assert outcome("speech", "0.5 s extra").extra == RATE // 2
    assert outcome("speech", "5000 samples late, cut").missing_end == 5000


def test_gain_is_measured():
    """20 log10(0.25) = -12.04 dB, 20 log10(2) = 6.02 dB."""
    assert outcome("speech", "gain 0.25").gain_db == pytest.approx(-12.04, abs=0.1)
    assert outcome("music", "gain 2").gain_db == pytest.approx(6.02, abs=0.1)
