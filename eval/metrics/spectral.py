"""Distances between magnitude spectra, which ignore phase: mel bands, and STFTs of several resolutions."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio.mel import mel_triangles
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import metric

SAMPLE_RATE = 24_000
BANDS, WINDOW, HOP = 80, 1024, 256
FLOOR_DB = -80.0  # relative to the reference's loudest band, which masks lower levels

# (FFT length, window, hop) in samples at 24 kHz, table 1 of Parallel WaveGAN
RESOLUTIONS = ((1024, 600, 120), (2048, 1200, 240), (512, 240, 50))
SMALLEST = 1e-7  # magnitude, as in the paper's code; avoids the logarithm of zero


@metric(
    name="mel_distance",
    title="Mel distance",
    unit="dB",
    better="lower",
    value_range="0 to 80",
    sample_rate=SAMPLE_RATE,
    source="mean absolute log difference of mel bands, as Kumar et al. 2023 (arXiv 2306.06546, section 4.3) use it",
    licence="MIT",
    version=lambda: "2",  # 2: undefined for antiphase stereo and near-silence
)
def mel_distance(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Mean absolute difference of the levels in 80 mel bands up to 12 kHz, over frames of 43 ms.

    Args:
        reference, decoded: [time] at 24 kHz, aligned.

    Returns:
        Decibels; levels lower than 80 dB below the reference's loudest band and frame are raised to that floor.
    """
    powers = [np.square(magnitudes(signal, WINDOW, WINDOW, HOP)) @ mel_filters().T for signal in (reference, decoded)]
    floor = powers[0].max() * 10 ** (FLOOR_DB / 10)
    levels = [10 * np.log10(np.maximum(power, floor)) for power in powers]
    return Score(float(np.abs(levels[0] - levels[1]).mean()))


@metric(
    name="stft_distance",
    title="STFT distance (three resolutions)",
    better="lower",
    value_range="0 and above",
    sample_rate=SAMPLE_RATE,
    source="Yamamoto, Song and Kim 2020, Parallel WaveGAN (arXiv 1910.11480), equations 4 to 6",
    licence="MIT",
    version=lambda: "2",  # 2: undefined for antiphase stereo and near-silence
)
def stft_distance(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    """Spectral convergence plus mean absolute difference of log magnitudes, averaged over three resolutions.

    Args:
        reference, decoded: [time] at 24 kHz, aligned.
    """
    distances = []
    for size, window, hop in RESOLUTIONS:
        x, y = (np.maximum(magnitudes(signal, size, window, hop), SMALLEST) for signal in (reference, decoded))
        convergence = np.linalg.norm(x - y) / np.linalg.norm(x)
        distances.append(convergence + np.abs(np.log(x) - np.log(y)).mean())
    return Score(float(np.mean(distances)))


def magnitudes(signal: NDArray[np.float32], size: int, window: int, hop: int) -> NDArray[np.float64]:
    """STFT magnitudes of [time], [frames, size / 2 + 1]: Hann windows centred in `size`, signal padded with zeros."""
    padded = np.pad(signal.astype(np.float64), size // 2)
    shape = np.pad(np.hanning(window + 1)[:-1], (size - window) // 2)  # periodic
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.abs(np.fft.rfft(frames * shape, axis=-1))


@functools.cache
def mel_filters() -> NDArray[np.float64]:
    """Mel triangles, [bands, bins], each scaled to a sum of 1, so that white noise has the same level in every band."""
    triangles = mel_triangles(SAMPLE_RATE, WINDOW, BANDS)
    areas: NDArray[np.float64] = triangles / triangles.sum(axis=1, keepdims=True)
    return areas
