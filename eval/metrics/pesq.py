"""PESQ (ITU-T P.862, P.862.1, P.862.2) by the library pesq: the reference code before Corrigendum 2.

Corrigendum 2 (2018) corrects the level of the loudness model in wide-band mode, which raises the scores. Compare with
published numbers only if they come from the same version (Torcoli et al. 2025, arXiv 2505.19760).
"""

from __future__ import annotations

import shutil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.codec.extras import missing
from earmark.eval.metrics.interface import UNAVAILABLE, Score, failed, undefined
from earmark.eval.metrics.registry import library, metric
from earmark.eval.metrics.spectrum import is_narrow_band

COMPILERS = ("cc", "gcc", "clang", "cl")
SHORTEST = 0.25  # seconds; the library's limit
LONGEST = 90.0  # seconds; the library's table of 1000 bad intervals of at least 6 frames of 16 ms could overflow at 96
LICENCE = "MIT; the ITU's reference code in it for evaluation alone"
UTTERANCES = 40  # the library's table holds 50, and `most_utterances` comes within a fifth of the library's count


def _available() -> str | None:
    absent = missing("pesq", extra="pesq")
    if absent is None:
        return None
    if any(map(shutil.which, COMPILERS)):
        return f"{UNAVAILABLE} {absent}"
    return f"{UNAVAILABLE} {absent}; it needs a C compiler and Python's headers, and no compiler was found here"


@metric(
    name="pesq",
    title="PESQ wide band (P.862.2, before Corrigendum 2)",
    unit="MOS-LQO",
    value_range="1.04 to 4.64",
    sample_rate=16_000,
    version=lambda: f"{library('pesq')}, revision 2",
    speech_only=True,
    available=_available,
    source="ITU-T P.862 and P.862.2; library pesq",
    licence=LICENCE,
)
def pesq_wide_band(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Perceived quality of speech heard over wide-band headphones, 50 to 7000 Hz.

    Args:
        reference, decoded: [time] at 16 kHz, aligned; any level.

    Returns:
        MOS-LQO after P.862.2; undefined for signals shorter than 0.25 s or without an utterance, and for more
        utterances or seconds than the library can hold. Undefined as well for telephone-band references, whatever
        their sample rate: P.862.2 compares with a wide-band original.
    """
    return _pesq(reference, decoded, 16_000, "wb")


@metric(
    name="pesq_nb",
    title="PESQ narrow band (P.862.1, before Corrigendum 2)",
    unit="MOS-LQO",
    value_range="1.02 to 4.55",
    sample_rate=8_000,
    version=lambda: f"{library('pesq')}, revision 2",
    speech_only=True,
    available=_available,
    source="ITU-T P.862 and P.862.1; library pesq",
    licence=LICENCE,
)
def pesq_narrow_band(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Perceived quality of speech heard over a telephone handset, 300 to 3400 Hz.

    Computed at 8 kHz, the rate of the telephone network, which every implementation of P.862 must support (annex A).
    The library's narrow-band mode at 16 kHz covers the same band and scores up to 0.1 lower.

    Args:
        reference, decoded: [time] at 8 kHz, aligned; any level.

    Returns:
        MOS-LQO after P.862.1; undefined in the same cases as `pesq_wide_band`.
    """
    return _pesq(reference, decoded, 8_000, "nb")


def _pesq(
    reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int, mode: Literal["wb", "nb"]
) -> Score:
    seconds = reference.size / sample_rate
    if seconds < SHORTEST:
        return undefined(f"shorter than {SHORTEST} s")
    if seconds > LONGEST:
        return undefined(f"longer than {LONGEST:.0f} s; cut it into shorter excerpts")
    if mode == "wb" and is_narrow_band(reference, sample_rate):
        return undefined("the reference has nothing above 4 kHz; pesq_nb is made for it")
    if most_utterances(reference, sample_rate) > UTTERANCES:
        return undefined("more utterances than the library can hold; cut it into shorter excerpts")
    from pesq import PesqError, pesq

    value = float(pesq(sample_rate, reference, decoded, mode, on_error=PesqError.RETURN_VALUES))
    if value == PesqError.NO_UTTERANCES_DETECTED:
        return undefined("no utterance found; one lasts at least 0.2 s")
    if value < 0:
        return failed(f"the library returned {value:.0f}")
    return Score(value)


def most_utterances(signal: NDArray[np.float32], sample_rate: int) -> int:
    """Upper bound on the utterances that PESQ finds in [time]: 0.2 s or longer, with pauses of more than 0.2 s between.

    The library stores utterances in tables of 50 entries and writes past their end: the score becomes wrong, then the
    process crashes. Its detector applies one threshold to the energy of 4 ms steps, after a filter that favours 300
    to 2000 Hz. This function tries all thresholds within 45 dB of the maximum, 1 dB apart, and returns the highest
    count.
    """
    from scipy.signal import butter, sosfilt

    band = butter(4, [300, 2000], "bandpass", fs=sample_rate, output="sos")
    step = sample_rate // 250
    filtered = sosfilt(band, signal)[: signal.size // step * step]
    energy = np.square(filtered).reshape(-1, step).mean(axis=1)
    return max(_utterances(energy > energy.max() * 10 ** (-below / 10)) for below in range(1, 46))


def _utterances(loud: NDArray[np.bool_]) -> int:
    """Number of utterances in [steps of 4 ms], with clicks of up to 4 steps dropped and gaps of up to 50 closed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
    starts, ends = edges[::2], edges[1::2]
    kept = ends - starts > 4
    starts, ends = starts[kept], ends[kept]
    if starts.size == 0:
        return 0
    pauses = starts[1:] - ends[:-1] > 50
    starts, ends = starts[np.append(True, pauses)], ends[np.append(pauses, True)]
    return int(np.count_nonzero(ends - starts >= 46))  # the library adds 4 steps to each before it requires 50
