"""Every fault on every kind of signal: the score stays as it was, or the correct mark says why not."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.result import MARKS, Alignment
from earmark.eval.metrics import registry
from earmark.eval.metrics.evaluation import evaluate
from tests.eval.alignment.signals import FAULTS, RATE, STEREO_FAULTS, clip, coded

SAME = 0.3  # dB
CELLS = [(signal, fault) for signal in ("speech", "music", "tone", "noise", "silence") for fault in FAULTS]
STEREO_CELLS = [("stereo", fault) for fault in {**FAULTS, **STEREO_FAULTS}]


@functools.cache
def outcome(signal: str, fault: str) -> tuple[float | None, Alignment]:
    """SI-SNR of the first channel over the part that is there, and the alignment."""
    source = clip(signal)
    change, _ = {**FAULTS, **STEREO_FAULTS}[fault]
    result = align(source, np.ascontiguousarray(change(coded(source))), RATE)
    assert result.audio.shape == source.shape
    assert set(result.alignment.names) <= set(MARKS)
    part = result.alignment.covered(source.shape[1])
    score = evaluate(registry.find("si_snr"), source[:1, part], result.audio[:1, part], RATE)
    return score.value, result.alignment


@pytest.mark.parametrize(("signal", "fault"), CELLS + STEREO_CELLS)
def test_a_fault_leaves_the_score_or_is_marked(signal, fault):
    """30 dB is the score of the codec without faults, as its noise is 30 dB below the source."""
    value, alignment = outcome(signal, fault)
    expected = {**FAULTS, **STEREO_FAULTS}[fault][1]
    if signal == "silence":  # no metric scores it; its length can be told
        assert value is None
    elif expected and not (signal == "tone" and fault == "inverted"):  # half a period late is the same signal
        assert set(alignment.names) & set(expected), alignment
    else:
        assert value == pytest.approx(unaltered(signal), abs=SAME)
        assert set(alignment.names) <= {"ambiguous"}


def unaltered(signal: str) -> float:
    value, alignment = outcome(signal, "0 samples late")
    assert value is not None
    assert not alignment.marks
    return value


@pytest.mark.parametrize("signal", ["speech", "music", "noise"])
@pytest.mark.parametrize(
    ("fault", "delay"),
    [
        ("0 samples late", 0), ("1 samples late", 1), ("37 samples late", 37), ("47990 samples late", 47990),
        ("300 samples early", -300), ("half a sample late", 0.5), ("5000 samples late, cut", 5000),
    ],
)  # fmt: skip
def test_the_delay_is_found_to_a_fraction_of_a_sample(signal, fault, delay):
    alignment = outcome(signal, fault)[1]
    assert alignment.removed == pytest.approx(delay, abs=0.01)
    assert alignment.clear
    assert alignment.sign == 1


@pytest.mark.parametrize("signal", ["speech", "music", "tone", "noise"])
@pytest.mark.parametrize("ppm", [10, 50, 200, -50])
def test_drift_is_measured(signal, ppm):
    alignment = outcome(signal, f"drift {ppm} ppm")[1]
    assert alignment.drift_ppm == pytest.approx(ppm, rel=0.1, abs=2)  # 2 ppm are 0.1 samples in two seconds


@pytest.mark.parametrize("signal", ["speech", "music", "noise"])
def test_jumps_are_located(signal):
    (jump,) = outcome(signal, "100 samples repeated")[1].jumps
    assert jump.samples == pytest.approx(100, abs=1)
    assert jump.at == pytest.approx(1.0, abs=0.3)


def test_missing_and_extra_audio_is_measured():
    assert outcome("speech", "last 0.5 s missing")[1].missing_end == RATE // 2
    assert outcome("speech", "first 0.5 s missing")[1].missing_start == RATE // 2
    assert outcome("speech", "last 0.5 s silent")[1].missing_end == pytest.approx(RATE // 2, abs=2)
    assert outcome("speech", "0.5 s extra")[1].extra == RATE // 2
    assert outcome("speech", "5000 samples late, cut")[1].missing_end == 5000


def test_gain_is_measured():
    """20 log10(0.25) = -12.04 dB, 20 log10(2) = 6.02 dB."""
    assert outcome("speech", "gain 0.25")[1].gain_db == pytest.approx(-12.04, abs=0.1)
    assert outcome("music", "gain 2")[1].gain_db == pytest.approx(6.02, abs=0.1)
