"""Short-time objective intelligibility (Taal et al. 2011), as the library pystoi computes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.registry import Score, library, metric, undefined

SAMPLE_RATE = 10_000  # the rate of the method; resampled here, so that the library leaves the signals as they are
SHORTEST = 256 + 30 * 128  # samples in the 31 frames, half overlapping, that one intermediate measure takes
TOO_SHORT = 1e-5  # what the library returns for fewer, with a warning


@metric(
    name="stoi",
    title="STOI",
    value_range="0 to 1",
    sample_rate=SAMPLE_RATE,
    version=lambda: library("pystoi"),
)
def stoi(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Correlation of the short-time envelopes in 15 third-octave bands; 1 is as intelligible as the reference.

    Args:
        reference, decoded: [time] at 10 kHz, aligned.

    Returns:
        STOI; undefined for less than 0.41 s of speech, counted after the frames more than 40 dB below the loudest
        have been removed.
    """
    too_short = undefined(f"less than {SHORTEST / SAMPLE_RATE:.2f} s once pauses are removed")
    if reference.size <= SHORTEST:
        return too_short
    from pystoi import stoi as library_stoi

    value = float(library_stoi(reference, decoded, SAMPLE_RATE))
    return too_short if value == TOO_SHORT else Score(value)
