"""Moving a signal in time by whole samples and by fractions of one."""

from __future__ import annotations

import numpy as np
from scipy import fft

from earmark.codec.audio import Audio

BLOCK, MARGIN = 2**17, 2**12  # samples moved at once, so that memory is bounded, and context on each side


def placed(audio: Audio, start: int, length: int) -> Audio:
    """`length` samples of [channels, time] from sample `start` on, zero outside the signal.

    A positive `start` moves the signal earlier, a negative one later.
    """
    result = np.zeros((*audio.shape[:-1], length), audio.dtype)
    first, last = max(0, start), min(audio.shape[-1], start + length)
    if last > first:
        result[..., first - start : last - start] = audio[..., first:last]
    return result


def advanced(audio: Audio, samples: float, length: int) -> Audio:
    """[channels, time] moved earlier by any number of samples and cut or padded to `length`.

    Fractions are removed by a linear phase in the frequency domain, exact for band-limited signals.
    """
    whole = round(samples)
    fraction = samples - whole
    if abs(fraction) < 1e-6:
        return placed(audio, whole, length)
    result = np.empty((*audio.shape[:-1], length), np.float32)
    for first in range(0, length, BLOCK):
        size = min(BLOCK, length - first)
        part = placed(audio, whole + first - MARGIN, size + 2 * MARGIN)
        result[..., first : first + size] = _by_fraction(part, fraction)[..., MARGIN : MARGIN + size]
    return result


def _by_fraction(part: Audio, fraction: float) -> Audio:
    points = fft.next_fast_len(part.shape[-1], real=True)
    phase = np.exp(2j * np.pi * fraction * np.arange(points // 2 + 1) / points).astype(np.complex64)
    moved: Audio = fft.irfft(fft.rfft(part, points, axis=-1) * phase, points, axis=-1)[..., : part.shape[-1]]
    return moved
