"""Signals in memory: types, resampling, lengths, 16-bit samples."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Pcm = NDArray[np.int16]


def resample(audio: Audio, from_rate: int, to_rate: int) -> Audio:
    """Resample along the last axis with soxr's very high quality (linear phase, zero delay).

    Args:
        audio: [..., time] at `from_rate` Hz.

    Returns:
        [..., round(time * to_rate / from_rate)] at `to_rate` Hz.
    """
    if from_rate == to_rate:
        return audio
    length = resampled_length(audio.shape[-1], from_rate, to_rate)
    flat = audio.reshape(-1, audio.shape[-1])
    resampled = np.ascontiguousarray(soxr.resample(np.ascontiguousarray(flat.T), from_rate, to_rate, quality="VHQ").T)
    return fit_length(resampled.astype(np.float32, copy=False), length).reshape(*audio.shape[:-1], length)


def resampled_length(length: int, from_rate: int, to_rate: int) -> int:
    """Number of samples after resampling `length` samples."""
    return round(length * to_rate / from_rate)


def fit_length(audio: Audio, length: int) -> Audio:
    """Cut [..., time] to `length` samples, or pad it with zeros at the end."""
    if audio.shape[-1] >= length:
        return audio[..., :length]
    return np.pad(audio, [(0, 0)] * (audio.ndim - 1) + [(0, length - audio.shape[-1])])


def to_pcm16(audio: Audio) -> tuple[Pcm, int]:
    """Round to 16 bits and limit to full scale; samples read from a 16-bit file stay unchanged.

    Args:
        audio: [channels, time]; NaN becomes silence.

    Returns:
        Samples [time, channels], the order of files, and the number of samples that were limited.
    """
    scaled = np.rint(np.nan_to_num(audio.T).clip(-2, 2) * 32768)
    pcm = scaled.clip(-32768, 32767)
    return pcm.astype(np.int16), int(np.count_nonzero(pcm != scaled))
