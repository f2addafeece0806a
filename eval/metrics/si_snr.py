"""Scale-invariant signal-to-noise ratio (Luo and Mesgarani 2019, section III-D)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import metric

ROUNDING = 2.0**-24  # largest relative error of a float32 sample


@metric(
    name="si_snr", title="SI-SNR", unit="dB", value_range="below 145", channels="all",
    source="Luo and Mesgarani 2019, Conv-TasNet, section III-D", licence="MIT",
)  # fmt: skip
def si_snr(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Energy of the decoded signal along the reference, over the energy beside it.

    All channels form one vector, so they share one gain, and a silent channel does no harm.

    Args:
        reference: source signal, [channels, time], any scale.
        decoded: decoded signal, [channels, time], aligned with the reference.

    Returns:
        10 log10(|s|^2 / |e|^2) in dB with s the projection of `decoded` on `reference` and e = decoded - s, every
        channel made zero-mean first. Undefined if s or e is no larger than the rounding of float32 samples: the decoded
        signal then has nothing of the reference, or equals it up to gain and offset.
    """
    x = (reference - reference.mean(axis=-1, keepdims=True, dtype=np.float64)).ravel()
    y = (decoded - decoded.mean(axis=-1, keepdims=True, dtype=np.float64)).ravel()
    return projection_ratio(x, y, decoded)


def projection_ratio(x: NDArray[np.float64], y: NDArray[np.float64], decoded: NDArray[np.float32]) -> Score:
    """Energy of the vector `y` along `x`, over the energy beside it, in dB.

    Args:
        decoded: signal that `y` was computed from; its rounding error does not count as noise.
    """
    s = (y @ x / (x @ x)) * x
    e = y - s
    noise = e @ e
    if noise <= ROUNDING**2 * np.square(decoded, dtype=np.float64).sum():
        return undefined("the decoded signal equals the reference")
    if s @ s <= ROUNDING**2 * (y @ y):
        return undefined("the decoded signal has nothing of the reference")
    return Score(float(10 * np.log10((s @ s) / noise)))
