"""Short-time objective intelligibility (Taal et al. 2011) and its extension (Jensen and Taal 2016), by pystoi."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import resample
from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import library, metric
from earmark.eval.metrics.silence import is_faint, silent_one

SAMPLE_RATE = 10_000  # rate of the method, to which the library resamples by its own filter
SHORTEST = 256 + 30 * 128  # samples of the 31 half-overlapping frames behind one intermediate measure
TOO_SHORT = 1e-5  # value that the library returns for shorter signals, with a warning

_LAST: dict[tuple[bytes, int], NDArray[np.float32]] = {}  # the last reference as the library resamples it


@metric(
    name="stoi",
    title="STOI",
    value_range="0 to 1",
    takes_rate=True,
    speech_only=True,
    version=lambda: f"{library('pystoi')}, revision 2",  # 2: resampled by the library
    source="Taal, Hendriks, Heusdens and Jensen 2011; library pystoi",
    licence="MIT",
    imports=("pystoi",),
)
def stoi(reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int) -> Score:
    """Correlation of short-time envelopes in 15 third-octave bands; 1 means as intelligible as the reference.

    Args:
        reference, decoded: [time] at `sample_rate` Hz, aligned.

    Returns:
        STOI; undefined for less than 0.41 s of speech, not counting frames more than 40 dB below the loudest one.
    """
    return _stoi(reference, decoded, sample_rate, extended=False)


@metric(
    name="estoi",
    title="ESTOI",
    value_range="-1 to 1",
    takes_rate=True,
    speech_only=True,
    version=lambda: f"{library('pystoi')}, revision 2",  # 2: resampled by the library
    source="Jensen and Taal 2016; library pystoi",
    licence="MIT",
    imports=("pystoi",),
)
def estoi(reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int) -> Score:
    """STOI without the assumption that bands contribute independently; more accurate for fluctuating noise.

    Args:
        reference, decoded: [time] at `sample_rate` Hz, aligned.

    Returns:
        ESTOI; undefined in the same cases as `stoi`.
    """
    return _stoi(reference, decoded, sample_rate, extended=True)


def _stoi(
    reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int, *, extended: bool
) -> Score:  # fmt: skip
    too_short = undefined(f"less than {SHORTEST / SAMPLE_RATE:.2f} s once pauses are removed")
    if reference.size * SAMPLE_RATE <= SHORTEST * sample_rate:
        return too_short
    heard = [resample(signal, sample_rate, SAMPLE_RATE) for signal in (reference, decoded)]
    silent = silent_one(heard[0], heard[1])
    if silent is not None or is_faint(heard[0], SAMPLE_RATE):
        return undefined(f"the {silent or 'reference'} is silent below 5 kHz")
    from pystoi import stoi as library_stoi
    from pystoi.utils import resample_oct

    if sample_rate != SAMPLE_RATE:  # the library's own first step, once for all systems
        reference = _resampled(reference, sample_rate)
        decoded = resample_oct(decoded, SAMPLE_RATE, sample_rate)
    value = float(library_stoi(reference, decoded, SAMPLE_RATE, extended=extended))
    return too_short if value == TOO_SHORT else Score(value)


def _resampled(reference: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A reference [time] at 10 kHz by the library's filter, which takes a third of its time."""
    from pystoi.utils import resample_oct

    key = hashlib.blake2b(np.ascontiguousarray(reference).data).digest(), sample_rate
    known = _LAST.get(key)
    if known is None:
        known = resample_oct(reference, SAMPLE_RATE, sample_rate)
        _LAST.clear()
        _LAST[key] = known
    return known
