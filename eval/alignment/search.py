"""Search for the delay: waveforms first, spectral envelopes where these leave doubt, pieces of long signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio, resample
from earmark.eval.alignment.correlation import Peak, correlate
from earmark.eval.alignment.envelopes import envelope, envelope_peak
from earmark.eval.alignment.recent import kept_for

# Unrelated recordings reach heights of 0.08 by waveform and 0.22 by envelope (136 pairs of recordings, tone, noises).
CERTAIN = 0.3  # height of a waveform's peak that needs no second opinion
SIGNIFICANT = 0.05  # the same with a rival of less than half the height
WEAK = 0.15  # the same if the envelopes say nothing
DISTINCT = 0.9  # part of the height that a rival must not reach
AMBIGUOUS = 0.98  # part from which two delays fit equally
ENVELOPE_HEIGHT = 0.25
NEAR_HEIGHT = 0.12  # of a waveform's peak near the envelopes' delay
ENVELOPE_REACH = 0.004  # seconds around the envelopes' delay where the waveforms are searched
ENVELOPE_RATE = 16_000
LONGEST = 2**22  # samples of both signals that are searched at once, which takes about 200 MB
PIECE, AROUND = 2**19, 2**20  # samples of the decoded signal, and of the source on each side, for longer signals


@dataclass(frozen=True)
class Delay:
    """Result of the search.

    Args:
        lag: samples by which the decoded signal is late; None if no delay stands out.
        by_envelope: whether it comes from the spectral envelopes, which are accurate to about 2 ms.
        peak: of the waveforms, there or, if there is no delay, anywhere.
    """

    lag: float | None
    by_envelope: bool
    peak: Peak

    @property
    def ambiguous(self) -> bool:
        """Whether another delay fits as well, as in periodic signals."""
        return self.lag is not None and not self.by_envelope and self.peak.rival > AMBIGUOUS

    @property
    def clear(self) -> bool:
        """Whether the waveforms have one delay."""
        return self.lag is not None and not self.by_envelope and self.peak.rival < DISTINCT


def find_delay(source: Audio, decoded: Audio, sample_rate: int) -> Delay:
    """Search all delays at which the signals overlap.

    Signals of more than four million samples together, which do not fit into the memory of one FFT, are searched by
    pieces of the decoded signal: first near the same time in the source, then everywhere.

    Args:
        source: [channels, time]; decoded: [channels, any time].
    """
    if source.shape[-1] + decoded.shape[-1] <= LONGEST:
        return _find(source, decoded, sample_rate)
    best: Delay | None = None
    for first, start, end in _pieces(source.shape[-1], decoded):
        found = _find(source[:, start:end], decoded[:, first : first + PIECE], sample_rate)
        if found.lag is not None:
            peak = replace(found.peak, lag=found.peak.lag + first - start)
            found = replace(found, lag=found.lag + first - start, peak=peak)
            if not found.ambiguous:
                return found
        if best is None or (found.lag is not None and best.lag is None):
            best = found
    assert best is not None
    return best


def _pieces(length: int, decoded: Audio) -> Iterator[tuple[int, int, int]]:
    """(first sample of a piece of the decoded signal, first and last + 1 sample of the source to search)."""
    size = decoded.shape[-1]
    starts = range(0, max(1, size - PIECE), max(1, (size - PIECE) // 12))
    energy = {first: float(np.square(decoded[:, first : first + PIECE], dtype=np.float64).sum()) for first in starts}
    loudest = sorted(energy, key=lambda first: -energy[first])
    for first in loudest[:3]:
        yield first, max(0, min(first, length) - AROUND), min(length, first + PIECE + AROUND)
    for first in loudest[:2]:
        for start in range(0, length, 2 * AROUND):
            yield first, start, min(length, start + 2 * AROUND + PIECE)


def _find(source: Audio, decoded: Audio, sample_rate: int) -> Delay:
    nothing = Peak(0.0, 0.0, 1, 1.0)
    if min(source.shape[-1], decoded.shape[-1]) < 2:
        return Delay(None, False, nothing)
    kept = kept_for(source)
    correlation = correlate(source, decoded, sample_rate, kept)
    if correlation is None:
        return Delay(None, False, nothing)
    peak = correlation.best()
    if (peak.height >= CERTAIN and peak.rival < DISTINCT) or (peak.height >= SIGNIFICANT and peak.rival < 0.5):
        return Delay(peak.lag, False, peak)
    x = kept.get("envelope", (sample_rate,), lambda: _envelope(source, sample_rate))
    lag, height, rival = envelope_peak(x, _envelope(decoded, sample_rate), ENVELOPE_RATE)
    if height >= ENVELOPE_HEIGHT and rival < DISTINCT:
        lag *= sample_rate / ENVELOPE_RATE
        near = correlation.best(lag - ENVELOPE_REACH * sample_rate, lag + ENVELOPE_REACH * sample_rate)
        if near.height >= max(NEAR_HEIGHT, 0.7 * peak.height):
            return Delay(near.lag, False, near)
        return Delay(float(round(lag)), True, near)
    is_periodic, is_weak = peak.height >= CERTAIN, peak.height >= WEAK and peak.rival < DISTINCT
    return Delay(peak.lag if is_periodic or is_weak else None, False, peak)


def _envelope(audio: Audio, sample_rate: int) -> NDArray[np.float32]:
    return envelope(resample(audio, sample_rate, ENVELOPE_RATE), ENVELOPE_RATE)
