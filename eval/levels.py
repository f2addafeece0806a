"""Equal loudness for all conditions of an item (EBU R 128; ITU-R BS.1770 by pyloudnorm)."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

TARGET_LUFS = -23.0  # EBU R 128
HIGHEST_PEAK_DB = -1.0  # dBFS, sample peak after the gain: 16-bit stimuli must not clip
SILENCE_LUFS = -70.0  # the absolute gate of BS.1770: nothing below it is measured
BLOCK = 0.4  # seconds; BS.1770 measures in such blocks


def loudness(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Integrated loudness of [channels, time] in LUFS, -70 for silence.

    A mono signal counts as one channel, as BS.1770 has it.
    """
    import pyloudnorm

    missing = math.ceil(BLOCK * sample_rate) + 1 - audio.shape[-1]
    if missing > 0:
        audio = np.pad(audio, [(0, 0), (0, missing)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a logarithm of zero: silence is an answer here
        return max(SILENCE_LUFS, float(pyloudnorm.Meter(sample_rate).integrated_loudness(audio.T.astype(np.float64))))


def match(signals: dict[str, NDArray[np.float32]], sample_rate: int) -> dict[str, tuple[float, float]]:
    """Gain that brings every condition of an item to one loudness, and that loudness.

    The loudness is -23 LUFS, or as much lower as keeps the highest peak of all conditions at -1 dBFS.

    Args:
        signals: condition -> [channels, time].

    Returns:
        condition -> (gain in dB, loudness in LUFS after it); a silent condition keeps its level.
    """
    measured = {name: loudness(audio, sample_rate) for name, audio in signals.items()}
    gains = {name: TARGET_LUFS - level if level > SILENCE_LUFS else 0.0 for name, level in measured.items()}
    peaks = [
        20 * math.log10(peak) + gains[name]
        for name, audio in signals.items()
        if (peak := float(np.abs(audio).max())) > 0
    ]
    excess = max(0.0, max(peaks, default=-math.inf) - HIGHEST_PEAK_DB)
    return {
        name: (gains[name] - excess, level + gains[name] - excess) if level > SILENCE_LUFS else (0.0, SILENCE_LUFS)
        for name, level in measured.items()
    }
