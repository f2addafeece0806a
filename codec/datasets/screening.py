"""Screening of recordings: measures clipping, bandwidth and noise floor, and rejects those that are too bad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Recording
from earmark.codec.datasets.manifest import Category

FULL_SCALE = 0.985  # clipped from here on: lossy coding scatters clipped peaks around 1
WINDOW = 2048  # samples per spectrum when measuring the bandwidth
FRAME = 0.02  # seconds per level when measuring the dynamics
SILENCE = -120.0  # dB: the level given to digital silence


@dataclass(frozen=True)
class Quality:
    """Measurements of a recording.

    Args:
        clipped: share of the samples at full scale.
        bandwidth: the highest frequency, in Hz, whose mean power is within 70 dB of the strongest frequency's.
        dynamics: 95th minus 10th percentile of the frame levels, in dB. In speech, which has pauses, this is the
            distance to the noise floor.
    """

    clipped: float
    bandwidth: float
    dynamics: float


@dataclass(frozen=True)
class Limits:
    """Requirements on a recording.

    Args:
        seconds: shortest duration.
        clipped: largest share of samples at full scale. Loud masters stay below 0.0002, recordings with the
            gain too high are at 0.01 to 0.1.
        bandwidth: lowest bandwidth in Hz.
        dynamics: lowest dynamics of speech in dB. Music and general audio may be steady, so they are exempt.
    """

    seconds: float = 0.5
    clipped: float = 1e-3
    bandwidth: float = 7000.0
    dynamics: float = 15.0

    def rejection(self, category: Category, seconds: float, quality: Quality) -> str | None:
        """The reason to reject a recording, in a word or two; None if it meets the limits."""
        if seconds < self.seconds:
            return "too short"
        if quality.clipped > self.clipped:
            return "clipped"
        if quality.bandwidth < self.bandwidth:
            return "narrow band"
        if category == "speech" and quality.dynamics < self.dynamics:
            return "noisy"
        return None


def measure(recording: Recording) -> Quality:
    """Measure a recording. The bandwidth and dynamics of silence are 0."""
    mono = recording.samples.mean(axis=0)
    clipped = float(np.mean(np.abs(recording.samples) >= FULL_SCALE))
    return Quality(clipped, _bandwidth(mono, recording.sample_rate), _dynamics(mono, recording.sample_rate))


def _bandwidth(mono: NDArray[np.float32], sample_rate: int) -> float:
    if len(mono) < WINDOW:
        mono = np.pad(mono, (0, WINDOW - len(mono)))
    window = np.hanning(WINDOW).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[:: WINDOW // 2]
    power = np.zeros(WINDOW // 2 + 1)
    for block in range(0, len(frames), 256):  # in blocks: the frames take many times the memory of the recording
        power += (np.abs(np.fft.rfft(frames[block : block + 256] * window)) ** 2).sum(axis=0)
    audible = np.flatnonzero(power > 1e-7 * power.max())
    return float(audible[-1] * sample_rate / WINDOW) if len(audible) else 0.0


def _dynamics(mono: NDArray[np.float32], sample_rate: int) -> float:
    length = max(1, min(round(FRAME * sample_rate), len(mono)))
    frames = mono[: len(mono) // length * length].reshape(-1, length)
    levels = np.maximum(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-30), SILENCE)
    quiet, loud = np.percentile(levels, [10, 95])
    return float(loud - quiet)
