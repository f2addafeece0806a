"""Detection of silence: no metric has a meaningful value for it, though some libraries return a good one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HALF_STEP = 2.0**-24  # half a step of 24-bit PCM, -144 dBFS; a resampled tone above the new band leaves less
FAINT = 10**-4.5  # -90 dBFS, 6 dB above the dither and rounding of 16-bit PCM (half a step RMS); ViSQOL's noise floor
FRAME = 0.05  # seconds
CANCELLED = 1e-3  # level of the average of the channels over theirs, below which it is their rounding errors


def silent_one(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> str | None:
    """Name the signal that is silent, "reference" or "decoded signal"; None if neither is.

    A signal, [..., time], is silent if no channel varies by more than one step of 24-bit PCM; an offset does not count.
    """
    for name, signal in (("reference", reference), ("decoded signal", decoded)):
        if np.ptp(signal, axis=-1).max() <= 2 * HALF_STEP:
            return name
    return None


def is_faint(signal: NDArray[np.float32], sample_rate: int) -> bool:
    """Whether the loudest 50 ms of [time] lie below -90 dBFS (RMS without offset), where 16-bit PCM has only dither."""
    size = min(signal.size, max(1, round(FRAME * sample_rate)))
    frames = signal[: signal.size // size * size].reshape(-1, size).astype(np.float64)
    return bool(frames.std(axis=1).max() < FAINT)


def cancels(signal: NDArray[np.float32]) -> bool:
    """Whether the channels of [channels, time] cancel each other in the average, as those of antiphase stereo do."""
    if signal.shape[0] < 2:
        return False
    centred = signal - signal.mean(axis=-1, keepdims=True, dtype=np.float64)
    level = float(np.sqrt(np.square(centred).mean()))
    return level > 0 and float(np.sqrt(np.square(centred.mean(axis=0)).mean())) < CANCELLED * level
