"""A second opinion on the delay: correlation of spectral envelopes, for codecs that do not preserve the waveform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from earmark.codec.audio import Audio

STEP = 0.001  # seconds between frames
WINDOW = 0.016  # seconds
BANDS = 24  # from LOWEST to HIGHEST Hz, equally wide on the mel scale
LOWEST, HIGHEST = 100.0, 7000.0
RANGE = 50.0  # dB below the loudest frame that count
TREND = 0.25  # seconds; slower changes of level are removed, as they say little about the delay
FRAMES_AT_ONCE = 4096


def envelope(audio: Audio, sample_rate: int) -> NDArray[np.float32]:
    """Levels [bands, frames] in dB of 24 mel bands every millisecond, without what changes more slowly than 4 Hz.

    Args:
        audio: [channels, time]; the channels are averaged in energy.

    Returns:
        No frames for signals that are silent or shorter than 100 ms.
    """
    levels = _levels(audio, sample_rate, _step(sample_rate))
    return _without_trend(levels) if levels.shape[-1] >= round(0.1 / STEP) else levels[:, :0]


def _step(sample_rate: int) -> int:
    """Samples from one frame to the next."""
    return max(1, round(STEP * sample_rate))


def envelope_peak(x: NDArray[np.float32], y: NDArray[np.float32], sample_rate: int) -> tuple[float, float, float]:
    """Delay in samples by which the spectral envelopes of two signals match best.

    Args:
        x, y: `envelope` of the source and of the decoded signal.

    Returns:
        The delay; the height of the normalised correlation there, 0 to 1; and that of the next best peak at least
        20 ms away over it. (0, 0, 1) if a signal is silent or shorter than 100 ms.
    """
    step = _step(sample_rate)
    energy = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    if energy == 0:
        return 0.0, 0.0, 1.0
    frames_x, frames_y = x.shape[-1], y.shape[-1]
    points = fft.next_fast_len(frames_x + frames_y - 1, real=True)
    spectrum = (fft.rfft(y, points, axis=-1) * fft.rfft(x, points, axis=-1).conj()).sum(axis=0)
    values = fft.irfft(spectrum, points)
    values = np.concatenate([values[points - (frames_x - 1) :], values[:frames_y]]) / energy
    best = int(np.argmax(values))
    away = np.abs(np.arange(len(values)) - best) >= round(0.02 / STEP)
    rival = float(values[away].max(initial=0.0)) / max(float(values[best]), 1e-12)
    fraction = 0.0
    if 0 < best < len(values) - 1:
        before, here, after = values[best - 1 : best + 2]
        if (bend := before - 2 * here + after) < 0:
            fraction = float((before - after) / (2 * bend))
    return (best - (frames_x - 1) + fraction) * step, float(values[best]), rival


def _levels(audio: Audio, sample_rate: int, step: int) -> NDArray[np.float32]:
    """Levels [bands, frames] in dB, limited to RANGE below the loudest."""
    size = round(WINDOW * sample_rate)
    padded = np.pad(audio, [(0, 0), (size // 2, size // 2)])
    frames = max(0, (padded.shape[-1] - size) // step + 1)
    if frames == 0:
        return np.zeros((BANDS, 0), np.float32)
    window = np.hanning(size).astype(np.float32)
    filters = _filters(size, sample_rate)
    energy = np.zeros((frames, BANDS), np.float32)
    for channel in padded:
        views = np.lib.stride_tricks.sliding_window_view(channel, size)[::step]
        for first in range(0, frames, FRAMES_AT_ONCE):
            spectrum = fft.rfft(views[first : first + FRAMES_AT_ONCE] * window, axis=-1)
            energy[first : first + FRAMES_AT_ONCE] += np.square(np.abs(spectrum)) @ filters
    top = float(energy.max())
    if top == 0:
        return np.zeros((BANDS, 0), np.float32)
    levels: NDArray[np.float32] = 10 * np.log10(np.maximum(energy.T, top * 10 ** (-RANGE / 10)))
    return levels


def _filters(size: int, sample_rate: int) -> NDArray[np.float32]:
    """Weights [bins, bands] of triangular mel bands; a band narrower than a bin takes the nearest bin."""
    frequencies = np.arange(size // 2 + 1) * sample_rate / size
    mel = 2595 * np.log10(1 + frequencies / 700)
    top = min(HIGHEST, 0.45 * sample_rate)
    lowest, highest = (2595 * np.log10(1 + frequency / 700) for frequency in (LOWEST, top))
    edges = np.linspace(lowest, highest, BANDS + 2)
    width = edges[1] - edges[0]
    weights = np.maximum(0, 1 - np.abs(mel[:, None] - edges[1:-1]) / width)
    empty = weights.sum(axis=0) == 0
    weights[np.abs(mel[:, None] - edges[1:-1]).argmin(axis=0)[empty], np.flatnonzero(empty)] = 1
    return weights.astype(np.float32)


def _without_trend(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove the moving average over TREND from [bands, frames]."""
    size = min(levels.shape[-1] // 2 * 2 - 1, round(TREND / STEP) // 2 * 2 + 1)
    padded = np.pad(levels, [(0, 0), (size // 2 + 1, size // 2)], mode="edge")
    total = np.cumsum(padded, axis=-1, dtype=np.float64)
    average = (total[:, size:] - total[:, :-size]) / size
    return (levels - average).astype(np.float32)
