"""A stereo mix: sounds get a start, a level and a direction, and the whole gets reverberation and a level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from earmark.codec.audio import Audio

Signal = NDArray[np.float64]  # [time]

PEAK_DBFS = -3.0
FLOOR_DBFS = -75.0  # RMS of added noise: pauses of real recordings are not digital silence


class Stage:
    """Sums sounds into `samples`, [2, time] at `sample_rate` Hz."""

    def __init__(self, seconds: float, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.samples = np.zeros((2, round(seconds * sample_rate)))

    def add(self, sound: NDArray[np.float64], start: float, gain: float = 1.0, pan: float = 0.0) -> None:
        """Mix in a sound, cut at the end of the stage.

        Args:
            sound: [time], or [2, time] for left and right.
            start: seconds.
            pan: -1 left, 0 centre, 1 right, at constant power.
        """
        angle = (pan + 1) * np.pi / 4
        first = round(start * self.sample_rate)
        target = self.samples[:, first : first + sound.shape[-1]]
        sides = np.array([[np.cos(angle)], [np.sin(angle)]])
        target += gain * sides * sound[..., : target.shape[1]]

    def add_room(self, seconds: float, gain: float, rng: np.random.Generator) -> None:
        """Add reverberation: noise that decays by 60 dB in `seconds`, independent on each side.

        Args:
            gain: level of the reverberation relative to a steady sound.
        """
        time = np.arange(round(seconds * self.sample_rate)) / self.sample_rate
        response = rng.standard_normal((2, len(time))) * 10 ** (-3 * time / seconds)
        response[:, : round(0.012 * self.sample_rate)] = 0  # the first reflection travels 4 m farther
        response = sosfilt(butter(1, (150, 6000), "bandpass", fs=self.sample_rate, output="sos"), response)
        response *= gain / np.linalg.norm(response, axis=1, keepdims=True)
        wet = fftconvolve(self.samples, response, axes=1)
        self.samples += wet[:, : self.samples.shape[1]]


def master(samples: NDArray[np.float64], sample_rate: int, rng: np.random.Generator) -> Audio:
    """Finish a recording: short fades, a faint noise floor, a peak of `PEAK_DBFS`.

    Args:
        samples: [channels, time].
    """
    fade = np.ones(samples.shape[-1])
    length = round(0.02 * sample_rate)
    ramp = 0.5 * (1 - np.cos(np.pi * np.arange(length) / length))
    fade[:length] = ramp
    fade[-length:] = ramp[::-1]
    peak = 10 ** (PEAK_DBFS / 20)
    loud = samples * fade * (peak / np.abs(samples).max())
    loud += rng.standard_normal(loud.shape) * 10 ** (FLOOR_DBFS / 20)
    return (loud * (peak / np.abs(loud).max())).astype(np.float32)
