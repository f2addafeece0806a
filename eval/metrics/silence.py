"""Silence, for which no metric here has a value, and of which some libraries make a good one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HALF_STEP = 2.0**-24  # of 24-bit PCM, -144 dBFS; resampling leaves less than that of a tone above the new band


def silent_one(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> str | None:
    """Which of two signals, [..., time], is silent, in words; None if both can be heard.

    A signal is silent when no channel of it moves by more than one step of 24-bit PCM; an offset alone is no sound.
    """
    for name, signal in (("reference", reference), ("decoded signal", decoded)):
        if np.ptp(signal, axis=-1).max() <= 2 * HALF_STEP:
            return name
    return None
