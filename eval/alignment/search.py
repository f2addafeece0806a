"""Search for the delay: waveforms first, spectral envelopes where these leave doubt, pieces of long signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio, resample
from earmark.eval.alignment.blocks import energies
from earmark.eval.alignment.correlation import Peak, correlate
from earmark.eval.alignment.envelopes import envelope, envelope_peak
from earmark.eval.alignment.recent import kept_for
from earmark.eval.alignment.result import CERTAIN

# Unrelated recordings reach heights of 0.08 by waveform and 0.22 by envelope (136 pairs of recordings, tone, noises).
SIGNIFICANT = 0.05  # the same with a rival of less than half the height
WEAK = 0.15  # the same if the envelopes say nothing
DISTINCT = 0.9  # part of the height that a rival must not reach
AMBIGUOUS = 0.98  # part from which two delays fit equally
ENVELOPE_HEIGHT = 0.25
NEAR_HEIGHT = 0.12  # of a waveform's peak near the envelopes' delay
ENVELOPE_REACH = 0.004  # seconds around the envelopes' delay where the waveforms are searched
ENVELOPE_RATE = 16_000
SHORT = 2**19  # samples of both signals up to which they are searched at once, without a look at a piece of them
FIRST, NEAR = 2**17, 2**16  # samples of that piece of the decoded signal, and of the source on each side of it
LEAST_OF_FIRST = 0.15  # height of the piece's peak that may be enough; short signals match by chance more often
LONGEST = 2**22  # samples of both signals up to which a search of the whole fits into about 200 MB
PIECE, AROUND = 2**19, 2**20  # samples of the decoded signal, and of the source on each side, in longer signals
STEP = 2**16  # samples; starts of pieces are multiples of it, so that most systems have the same piece of a source


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

    The loudest piece of the decoded signal, of three seconds or so, is searched first, near the same time in the
    source. Where that leaves doubt, the whole signals are searched, or, since more than four million samples together
    do not fit into the memory of one FFT, long pieces, at last everywhere.

    Args:
        source: [channels, time]; decoded: [channels, any time].
    """
    total = source.shape[-1] + decoded.shape[-1]
    if total <= SHORT:
        return _find(source, decoded, sample_rate)
    first = _loudest_pieces(decoded, FIRST)[0]
    start, end = max(0, min(first, source.shape[-1]) - NEAR), first + FIRST + NEAR
    near = _peak(source[:, start:end], decoded[:, first : first + FIRST], sample_rate)
    if near is not None and near.height >= LEAST_OF_FIRST and _stands_out(near):
        return _moved(Delay(near.lag, False, near), first - start)
    if total <= LONGEST:
        return _find(source, decoded, sample_rate)
    best: Delay | None = None
    for first, start, end in _places(_loudest_pieces(decoded, PIECE), source.shape[-1]):
        found = _moved(_find(source[:, start:end], decoded[:, first : first + PIECE], sample_rate), first - start)
        if found.lag is not None and not found.ambiguous:
            return found
        if best is None or (found.lag is not None and best.lag is None):
            best = found
    assert best is not None
    return best


def _moved(found: Delay, samples: int) -> Delay:
    """The delay in the whole signals of one that was found in parts of them."""
    if found.lag is None:
        return found
    return replace(found, lag=found.lag + samples, peak=replace(found.peak, lag=found.peak.lag + samples))


def _loudest_pieces(decoded: Audio, size: int) -> list[int]:
    """First samples of about 12 pieces of the decoded signal, loudest first."""
    last = decoded.shape[-1] - size
    starts = range(0, max(1, last), max(1, last // 12 // STEP) * STEP)
    return sorted(starts, key=lambda first: -float(energies(decoded[:, first : first + size]).sum()))


def _places(pieces: list[int], length: int) -> Iterator[tuple[int, int, int]]:
    """(first sample of a piece of the decoded signal, first and last + 1 sample of the source to search)."""
    for first in pieces[:3]:
        yield first, max(0, min(first, length) - AROUND), min(length, first + PIECE + AROUND)
    for first in pieces[:2]:
        for start in range(0, length, 2 * AROUND):
            yield first, start, min(length, start + 2 * AROUND + PIECE)


def _peak(source: Audio, decoded: Audio, sample_rate: int) -> Peak | None:
    """The highest peak of the waveforms' correlation; None for silence and nothing."""
    if min(source.shape[-1], decoded.shape[-1]) < 2:
        return None
    correlation = correlate(source, decoded, sample_rate, kept_for(source))
    return None if correlation is None else correlation.best()


def _stands_out(peak: Peak) -> bool:
    """Whether a peak needs no second opinion."""
    return (peak.height >= CERTAIN and peak.rival < DISTINCT) or (peak.height >= SIGNIFICANT and peak.rival < 0.5)


def _find(source: Audio, decoded: Audio, sample_rate: int) -> Delay:
    nothing = Peak(0.0, 0.0, 1, 1.0)
    if min(source.shape[-1], decoded.shape[-1]) < 2:
        return Delay(None, False, nothing)
    kept = kept_for(source)
    correlation = correlate(source, decoded, sample_rate, kept)
    if correlation is None:
        return Delay(None, False, nothing)
    peak = correlation.best()
    if _stands_out(peak):
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
