"""Difference of programme loudness (ITU-R BS.1770) by the library pyloudnorm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import library, metric

SAMPLE_RATE = 48_000
BLOCK = 0.4  # seconds, a gating block


@metric(
    name="loudness_difference",
    title="Loudness difference",
    unit="LU",
    better="lower",
    value_range="0 and above",
    sample_rate=SAMPLE_RATE,
    channels="all",
    version=lambda: library("pyloudnorm"),
    source="ITU-R BS.1770-4, annex 1; library pyloudnorm",
    licence="MIT",
)
def loudness_difference(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Absolute difference between the loudness of the decoded signal and that of the reference.

    Args:
        reference, decoded: [channels, time] at 48 kHz, up to five channels.

    Returns:
        LU; undefined for signals shorter than 0.4 s, and if every block of a signal lies below the gate of -70 LUFS.
    """
    if reference.shape[1] < round(BLOCK * SAMPLE_RATE):
        return undefined(f"shorter than {BLOCK} s")
    import pyloudnorm

    meter = pyloudnorm.Meter(SAMPLE_RATE, block_size=BLOCK)
    levels = [float(meter.integrated_loudness(signal.T.astype(np.float64))) for signal in (reference, decoded)]
    if not all(map(math.isfinite, levels)):
        return undefined("below the gate of -70 LUFS")
    return Score(abs(levels[1] - levels[0]))
