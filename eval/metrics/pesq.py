"""PESQ (ITU-T P.862, P.862.1, P.862.2), as the library pesq computes it: the reference code before Corrigendum 2.

Corrigendum 2 (2018) corrects the level of the loudness model in wide-band mode and scores higher there, so compare
with published numbers only if they come from the same version (Torcoli et al. 2025, arXiv 2505.19760).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import UNAVAILABLE, Score, failed, undefined
from earmark.eval.metrics.registry import library, metric

SHORTEST = 0.25  # seconds, the library's rule
LONGEST = 90.0  # seconds: its table of 1000 bad intervals, each of at least 6 frames of 16 ms, could overflow at 96
LICENCE = "MIT; the ITU's reference code in it for evaluation alone"
UTTERANCES = 40  # its table holds 50, and the count below comes within a fifth of the library's own


def _available() -> str | None:
    if find_spec("pesq") is None:
        return f"{UNAVAILABLE} needs a C compiler; install one and run make again"
    return None


@metric(
    name="pesq",
    title="PESQ wide band (P.862.2, before Corrigendum 2)",
    unit="MOS-LQO",
    value_range="1.04 to 4.64",
    sample_rate=16_000,
    version=lambda: library("pesq"),
    available=_available,
    source="ITU-T P.862 and P.862.2; library pesq",
    licence=LICENCE,
)
def pesq_wide_band(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Perceived quality of speech heard over wide-band headphones, 50 to 7000 Hz.

    Args:
        reference, decoded: [time] at 16 kHz, aligned; any level.

    Returns:
        MOS-LQO after P.862.2; undefined below 0.25 s, without an utterance, and for more utterances or seconds than
        the library can hold.
    """
    return _pesq(reference, decoded, 16_000, "wb")


@metric(
    name="pesq_nb",
    title="PESQ narrow band (P.862.1, before Corrigendum 2)",
    unit="MOS-LQO",
    value_range="1.02 to 4.55",
    sample_rate=8_000,
    version=lambda: library("pesq"),
    available=_available,
    source="ITU-T P.862 and P.862.1; library pesq",
    licence=LICENCE,
)
def pesq_narrow_band(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Perceived quality of speech heard over a telephone handset, 300 to 3400 Hz.

    At 8 kHz, the rate of the telephone network and the one that every implementation of P.862 has to offer (annex A);
    the library's narrow-band mode at 16 kHz hears the same band and scores up to 0.1 lower.

    Args:
        reference, decoded: [time] at 8 kHz, aligned; any level.

    Returns:
        MOS-LQO after P.862.1; undefined where `pesq_wide_band` is.
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
    """The most utterances that PESQ could find in [time]: sounds of 0.2 s or more between pauses of more than 0.2 s.

    The library keeps them in tables of 50 and writes past their end: first the score is wrong, then the process dies.
    Its detector sets one threshold on the energy of 4 ms steps, after a filter that favours 300 to 2000 Hz. Here every
    threshold of the upper 45 dB is tried, in steps of 1 dB, and the worst taken.
    """
    from scipy.signal import butter, sosfilt

    band = butter(4, [300, 2000], "bandpass", fs=sample_rate, output="sos")
    step = sample_rate // 250
    filtered = sosfilt(band, signal)[: signal.size // step * step]
    energy = np.square(filtered).reshape(-1, step).mean(axis=1)
    return max(_utterances(energy > energy.max() * 10 ** (-below / 10)) for below in range(1, 46))


def _utterances(loud: NDArray[np.bool_]) -> int:
    """Utterances in [steps of 4 ms], after clicks of 4 steps have been dropped and gaps of 50 steps closed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
    starts, ends = edges[::2], edges[1::2]
    kept = ends - starts > 4
    starts, ends = starts[kept], ends[kept]
    if starts.size == 0:
        return 0
    pauses = starts[1:] - ends[:-1] > 50
    starts, ends = starts[np.append(True, pauses)], ends[np.append(pauses, True)]
    return int(np.count_nonzero(ends - starts >= 46))  # the library lengthens each by 4 steps before it asks for 50
