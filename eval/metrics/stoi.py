"""Short-time objective intelligibility (Taal et al. 2011), and extended (Jensen and Taal 2016), both by pystoi."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import library, metric

SAMPLE_RATE = 10_000  # the rate of the method; resampled here, so that the library leaves the signals as they are
SHORTEST = 256 + 30 * 128  # samples in the 31 frames, half overlapping, that one intermediate measure takes
TOO_SHORT = 1e-5  # what the library returns for fewer, with a warning


@metric(
    name="stoi",
    title="STOI",
    value_range="0 to 1",
    sample_rate=SAMPLE_RATE,
    version=lambda: library("pystoi"),
    source="Taal, Hendriks, Heusdens and Jensen 2011; library pystoi",
    licence="MIT",
)
def stoi(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Correlation of the short-time envelopes in 15 third-octave bands; 1 is as intelligible as the reference.

    Args:
        reference, decoded: [time] at 10 kHz, aligned.

    Returns:
        STOI; undefined for less than 0.41 s of speech, counted after the frames more than 40 dB below the loudest
        have been removed.
    """
    return _stoi(reference, decoded, extended=False)


@metric(
    name="estoi",
    title="ESTOI",
    value_range="-1 to 1",
    sample_rate=SAMPLE_RATE,
    version=lambda: library("pystoi"),
    source="Jensen and Taal 2016; library pystoi",
    licence="MIT",
)
def estoi(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """STOI without the assumption that the bands are understood independently: better for noise that comes and goes.

    Args:
        reference, decoded: [time] at 10 kHz, aligned.

    Returns:
        ESTOI; undefined where `stoi` is.
    """
    return _stoi(reference, decoded, extended=True)


def _stoi(reference: NDArray[np.float32], decoded: NDArray[np.float32], *, extended: bool) -> Score:
    too_short = undefined(f"less than {SHORTEST / SAMPLE_RATE:.2f} s once pauses are removed")
    if reference.size <= SHORTEST:
        return too_short
    from pystoi import stoi as library_stoi

    value = float(library_stoi(reference, decoded, SAMPLE_RATE, extended=extended))
    return too_short if value == TOO_SHORT else Score(value)
