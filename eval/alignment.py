"""What delay is left between a decoded signal and its source, and taking it out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_LAG = 10  # samples; a codec's documented delay is gone by now, and more than this would hide a wrong one


def estimate_lag(reference: NDArray[np.float32], decoded: NDArray[np.float32], max_lag: int = MAX_LAG) -> int:
    """Lag of the cross-correlation peak, channels summed: positive where `decoded` is late.

    Args:
        reference, decoded: [channels, time], of equal shape.
        max_lag: bound of the search, in samples.

    Returns:
        The lag in samples; 0 for silence, and the smallest of equally good lags.
    """
    length = reference.shape[-1]
    lags = sorted(range(-min(max_lag, length - 1), min(max_lag, length - 1) + 1), key=abs)
    correlations = []
    for lag in lags:
        early, late = max(0, -lag), max(0, lag)
        correlations.append(float(np.vdot(reference[:, early : length - late], decoded[:, late : length - early])))
    best = int(np.argmax(correlations))
    return lags[best] if correlations[best] > 0 else 0


def advance(decoded: NDArray[np.float32], lag: int) -> NDArray[np.float32]:
    """Move [channels, time] earlier by `lag` samples (later, if negative), with zeros where nothing is known."""
    moved = np.zeros_like(decoded)
    length, early, late = decoded.shape[-1], max(0, -lag), max(0, lag)
    moved[:, early : length - late] = decoded[:, late : length - early]
    return moved
