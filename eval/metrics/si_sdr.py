"""Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import metric
from earmark.eval.metrics.si_snr import projection_ratio


@metric(
    name="si_sdr",
    title="SI-SDR",
    unit="dB",
    value_range="below 145",
    channels="all",
    source="Le Roux, Wisdom, Erdogan and Hershey 2019, SDR – half-baked or well done?, equation 4",
    licence="MIT",
)
def si_sdr(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """SI-SNR without subtracting the means, so that an offset of the decoded signal counts as distortion.

    Args:
        reference, decoded: [channels, time], aligned; all channels form one vector.

    Returns:
        SI-SDR in dB; undefined in the same cases as `si_snr`.
    """
    x, y = (signal.astype(np.float64).ravel() for signal in (reference, decoded))
    return projection_ratio(x, y, decoded)
