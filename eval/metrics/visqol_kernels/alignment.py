"""ViSQOL's alignment of two signals by their envelopes, with what it needs of the reference kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from visqol.audio_utils import AudioSignal
from visqol.signal_utils import _fft_backend, upper_envelope

from earmark.eval.metrics.visqol_kernels.reference import Reference


def best_lag(reference: Reference, decoded: NDArray[np.float64]) -> int:
    """Samples by which the reference lags behind; 0 beyond half its length (`find_best_lag`, `globally_align`)."""
    longest = max(reference.samples.size, decoded.size)
    points = 1
    while points < 2 * longest - 1:
        points *= 2
    spectrum = reference.envelope_spectrum(points)
    envelope = upper_envelope(decoded)
    with _fft_backend():
        correlation = irfft(spectrum * np.conj(rfft(envelope, n=points)), n=points)
    most = longest - 1
    lag = int(np.argmax(np.concatenate((correlation[-most:], correlation[: most + 1])))) - most
    return 0 if abs(lag) > reference.samples.size / 2.0 else lag


def shifted(decoded: AudioSignal, lag: int) -> AudioSignal:
    """The decoded signal with `lag` zeros before it, or without its first samples if it is negative."""
    if lag == 0:
        return decoded
    data = decoded.data[-lag:] if lag < 0 else np.concatenate([np.zeros(lag), decoded.data])
    return AudioSignal(data, decoded.sample_rate)


def aligned(reference: Reference, decoded: AudioSignal) -> tuple[Reference, AudioSignal, float]:
    """Both without what the other lacks, and the lag in seconds (`align_and_truncate`)."""
    rate = decoded.sample_rate
    lag = best_lag(reference, decoded.data)
    moved = shifted(decoded, lag).data
    skipped = int(lag / float(rate) * rate)  # as in the library; may be a sample less than the lag
    start = skipped if reference.samples.size < moved.size and skipped > 0 else 0
    length = min(reference.samples.size, moved.size) if start == 0 else reference.samples.size - start
    length = min(length, moved.size - start)
    return reference.cut(start, start + length), AudioSignal(moved[start : start + length], rate), lag / float(rate)
