"""Delay that is left between a decoded signal and its source: estimate and removal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_LAG = 10  # samples; the documented delay is removed already, and a longer search would hide a wrong one


def estimate_lag(reference: NDArray[np.float32], decoded: NDArray[np.float32], max_lag: int = MAX_LAG) -> int:
    """Lag of the cross-correlation peak, channels summed; positive if `decoded` is late.

    Args:
        reference, decoded: [channels, time], of equal shape.
        max_lag: bound of the search, in samples.

    Returns:
        The lag in samples; 0 for silence; the smallest of several equal peaks.
    """
    furthest = min(max_lag, reference.shape[-1] - 1)
    lags = sorted(range(-furthest, furthest + 1), key=abs)
    correlations = [_correlation(reference, decoded, lag) for lag in lags]
    best = int(np.argmax(correlations))
    return lags[best] if correlations[best] > 0 else 0


def lag_left(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> float | None:
    """Fraction of a sample by which `decoded` is still late after the removal of whole samples: -0.5 to 0.5.

    The estimate is the vertex of the parabola through the cross-correlation at lags -1, 0 and 1. It is too small if
    most of the energy lies near half the sample rate: 0.18 for 0.3 samples in white noise.

    Args:
        reference, decoded: [channels, time], of equal shape.

    Returns:
        The lag in samples; None for silence, or if the peak is not at lag 0.
    """
    if reference.shape[-1] < 2:
        return None
    before, here, after = (_correlation(reference, decoded, lag) for lag in (-1, 0, 1))
    if here <= 0 or here < max(before, after) or before + after == 2 * here:
        return None
    return (before - after) / (2 * (before - 2 * here + after))


def _correlation(reference: NDArray[np.float32], decoded: NDArray[np.float32], lag: int) -> float:
    """Correlate the source with the decoded signal moved earlier by `lag` samples, over their common part."""
    length, early, late = reference.shape[-1], max(0, -lag), max(0, lag)
    return float(np.vdot(reference[:, early : length - late], decoded[:, late : length - early]))


def advance(decoded: NDArray[np.float32], lag: int) -> NDArray[np.float32]:
    """Move [channels, time] earlier by `lag` samples (later if negative), and fill the gap with zeros."""
    moved = np.zeros_like(decoded)
    length, early, late = decoded.shape[-1], max(0, -lag), max(0, lag)
    moved[:, early : length - late] = decoded[:, late : length - early]
    return moved
