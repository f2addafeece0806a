"""Loudness matching of all conditions of an item (EBU R 128; ITU-R BS.1770 by pyloudnorm)."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

TARGET_LUFS = -23.0  # EBU R 128
HIGHEST_PEAK_DB = -1.0  # dBFS, sample peak after the gain: 16-bit stimuli must not clip
SILENCE_LUFS = -70.0  # absolute gate of BS.1770, below which nothing is measured
BLOCK = 0.4  # seconds; length of a measurement block of BS.1770


def loudness(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Integrated loudness of [channels, time] in LUFS, -70 for silence; a mono signal counts as one channel."""
    import pyloudnorm

    missing = math.ceil(BLOCK * sample_rate) + 1 - audio.shape[-1]
    if missing > 0:
        audio = np.pad(audio, [(0, 0), (0, missing)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the logarithm of zero: silence is a valid input here
        return max(SILENCE_LUFS, float(pyloudnorm.Meter(sample_rate).integrated_loudness(audio.T.astype(np.float64))))


def match(signals: dict[str, NDArray[np.float32]], sample_rate: int) -> dict[str, tuple[float, float]]:
    """Gains that give all conditions of an item the same loudness.

    The target is -23 LUFS, or lower if the highest peak of all conditions would exceed -1 dBFS otherwise.

    Args:
        signals: condition -> [channels, time].

    Returns:
        condition -> (gain in dB, resulting loudness in LUFS); a silent condition keeps its level.
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
