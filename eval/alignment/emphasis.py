"""Half whitening: weights that keep loud low frequencies from hiding the true delay, and decimation on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXPONENT = 0.5  # 0 keeps the spectrum, 1 makes the source's flat
WIDTH = 1.12  # the spectrum is smoothed over this factor on both sides of each frequency
LOWEST = 60.0  # Hz; codecs for speech remove what lies below, with a delay of its own
FLOOR = 1e-7  # of the strongest smoothed power
SEARCH_RATE = 16_000  # Hz; the search needs no more, unless the signal lies above it
LEAST_BELOW = 0.2  # part of the weighted energy that must lie below half the search rate


def half_whitening(power: NDArray[np.float64], sample_rate: int) -> NDArray[np.float32]:
    """Inverse fourth root of a smoothed power spectrum, at most 1.

    Bass is loud, so its phase decides where the plain cross-correlation has its peak, and a codec's high-pass filter
    changes that phase: in a recording of a vibraphone, AMR-WB moves the peak by 3.5 ms. With these weights it is right.

    Args:
        power: [bins] from 0 to half of `sample_rate`.
    """
    bins = np.arange(len(power))
    low = np.floor(bins / WIDTH).astype(int)
    high = np.minimum(np.ceil(bins * WIDTH).astype(int), len(power) - 1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    smooth = (total[high + 1] - total[low]) / (high + 1 - low)
    weights = np.maximum(smooth, max(FLOOR * smooth.max(), 1e-30)) ** (-EXPONENT / 2)
    weights[bins * (sample_rate / 2) / max(1, len(power) - 1) < LOWEST] = 0
    result: NDArray[np.float32] = (weights / max(float(weights.max()), 1e-30)).astype(np.float32)
    return result


def decimation(sample_rate: int) -> int:
    """Factor by which the sample rate may fall and stay at 16 kHz or above."""
    return max(1, sample_rate // SEARCH_RATE)


def fits_below(weighted: NDArray[np.float64], factor: int) -> bool:
    """Whether enough of a weighted power spectrum lies below the new half of the sample rate."""
    return float(weighted[: len(weighted) // factor].sum()) >= LEAST_BELOW * float(weighted.sum())
