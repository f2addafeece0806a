"""Detection of silence: no metric has a meaningful value for it, though some libraries return a good one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HALF_STEP = 2.0**-24  # half a step of 24-bit PCM, -144 dBFS; a resampled tone above the new band leaves less


def silent_one(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> str | None:
    """Name the signal that is silent, "reference" or "decoded signal"; None if neither is.

    A signal, [..., time], is silent if no channel varies by more than one step of 24-bit PCM; an offset does not count.
    """
    for name, signal in (("reference", reference), ("decoded signal", decoded)):
        if np.ptp(signal, axis=-1).max() <= 2 * HALF_STEP:
            return name
    return None
