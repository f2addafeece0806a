"""Is a recording good enough to learn from: clipping, bandwidth and noise floor, measured, never judged by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Recording
from earmark.codec.datasets.manifest import Kind

FULL_SCALE = 0.985  # clipped peaks, which lossy coding scatters around 1
WINDOW = 2048  # samples of the spectrum behind the bandwidth
FRAME = 0.02  # seconds of a level
SILENCE = -120.0  # dB: the level given to digital silence


@dataclass(frozen=True)
class Quality:
    """What was measured of a recording.

    Args:
        clipped: share of the samples at full scale.
        bandwidth: Hz; the highest frequency whose mean power is within 70 dB of the strongest one's.
        dynamics: dB; level of the loud frames (95 % are below) over that of the quiet ones (10 % are below), which in
            speech with its pauses is the distance to the noise floor.
    """

    clipped: float
    bandwidth: float
    dynamics: float


@dataclass(frozen=True)
class Limits:
    """What a recording must keep to.

    Args:
        seconds: it must last.
        clipped: share of the samples that may be at full scale. Loud masters stay below 0.0002, recordings with the
            gain too high are at 0.01 to 0.1.
        bandwidth: Hz that it must reach.
        dynamics: dB that speech must rise above its noise floor; not asked of music and sounds, which may be steady.
    """

    seconds: float = 0.5
    clipped: float = 1e-3
    bandwidth: float = 7000.0
    dynamics: float = 15.0

    def refusal(self, kind: Kind, seconds: float, quality: Quality) -> str | None:
        """Why a recording is left out, in a word or two; None if it is good."""
        if seconds < self.seconds:
            return "too short"
        if quality.clipped > self.clipped:
            return "clipped"
        if quality.bandwidth < self.bandwidth:
            return "narrow band"
        if kind == "speech" and quality.dynamics < self.dynamics:
            return "noisy"
        return None


def measure(recording: Recording) -> Quality:
    """Measure a recording; silence has no bandwidth and no dynamics."""
    mono = recording.samples.mean(axis=0)
    clipped = float(np.mean(np.abs(recording.samples) >= FULL_SCALE))
    return Quality(clipped, _bandwidth(mono, recording.sample_rate), _dynamics(mono, recording.sample_rate))


def _bandwidth(mono: NDArray[np.float32], sample_rate: int) -> float:
    if len(mono) < WINDOW:
        mono = np.pad(mono, (0, WINDOW - len(mono)))
    window = np.hanning(WINDOW).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[:: WINDOW // 2]
    power = np.zeros(WINDOW // 2 + 1)
    for block in range(0, len(frames), 256):  # long recordings would need many times their size at once
        power += (np.abs(np.fft.rfft(frames[block : block + 256] * window)) ** 2).sum(axis=0)
    audible = np.flatnonzero(power > 1e-7 * power.max())
    return float(audible[-1] * sample_rate / WINDOW) if len(audible) else 0.0


def _dynamics(mono: NDArray[np.float32], sample_rate: int) -> float:
    length = max(1, min(round(FRAME * sample_rate), len(mono)))
    frames = mono[: len(mono) // length * length].reshape(-1, length)
    levels = np.maximum(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-30), SILENCE)
    quiet, loud = np.percentile(levels, [10, 95])
    return float(loud - quiet)
