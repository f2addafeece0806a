"""Integrated loudness of a signal that arrives block by block (ITU-R BS.1770-4, annex 1)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio.signals import Audio

STEP_SECONDS = 0.1  # gating blocks of 400 ms overlap by 75 %
RESPONSE_SECONDS = 0.1  # the slower filter, with a double pole at 38 Hz, has decayed by 200 dB
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
FFT_SECONDS = 0.6

Floats = NDArray[np.float64]


class LoudnessMeter:
    """Measures mono or stereo in LUFS; `push` takes blocks of any length.

    The filters run as one finite response by Fourier transforms, which needs no SciPy: its import would double the
    start-up of a command.

    Args:
        sample_rate: in Hz.
        channels: 1 or 2.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._step = round(STEP_SECONDS * sample_rate)
        response = k_weighting(sample_rate)
        self._memory = np.zeros((channels, len(response) - 1))
        self._size = 1 << math.ceil(math.log2(FFT_SECONDS * sample_rate))
        self._response = np.fft.rfft(response, self._size)
        self._pending = np.zeros((channels, 0))
        self._weighted = np.zeros((channels, 0))
        self._powers: list[float] = []  # of each 100 ms, sum over the channels

    def push(self, block: Audio) -> None:
        """Add samples, [channels, n]."""
        self._pending = np.concatenate([self._pending, block], axis=1)
        count = self._size - self._memory.shape[1]
        while self._pending.shape[1] >= count:
            self._filter(self._pending[:, :count])
            self._pending = self._pending[:, count:]

    def _filter(self, block: Floats) -> None:
        memory = self._memory.shape[1]
        joined = np.concatenate([self._memory, block], axis=1)
        filtered = np.fft.irfft(np.fft.rfft(joined, self._size) * self._response, self._size)
        self._memory = joined[:, -memory:]
        weighted = np.concatenate([self._weighted, filtered[:, memory : joined.shape[1]]], axis=1)
        steps = weighted.shape[1] // self._step
        used = weighted[:, : steps * self._step].reshape(len(weighted), steps, self._step)
        self._powers += np.square(used).mean(axis=2).sum(axis=0).tolist()
        self._weighted = weighted[:, steps * self._step :]

    def loudness(self) -> float | None:
        """Integrated loudness in LUFS of all samples; None for silence or less than 400 ms."""
        if self._pending.shape[1]:
            self._filter(self._pending)
            self._pending = self._pending[:, :0]
        steps = np.array(self._powers)
        if len(steps) < 4:
            return None
        powers = np.convolve(steps, np.full(4, 0.25), "valid")
        powers = powers[powers > _power(ABSOLUTE_GATE)]
        if not len(powers):
            return None
        gate = _power(_lufs(powers.mean()) + RELATIVE_GATE)
        return _lufs(powers[powers > gate].mean())


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def k_weighting(sample_rate: int) -> Floats:
    """Impulse response of the two filters of tables 1 and 2, which are given for 48 kHz, at any sample rate."""
    count = max(16, round(RESPONSE_SECONDS * sample_rate))
    impulse = np.zeros(count)
    impulse[0] = 1
    shelf, high_pass = _coefficients(sample_rate)
    return _filtered(_filtered(impulse, *shelf), *high_pass)


def _coefficients(sample_rate: int) -> tuple[tuple[list[float], list[float]], tuple[list[float], list[float]]]:
    """Numerator and denominator of the high shelf and of the high-pass filter.

    The parameters are those of the analogue filters whose bilinear transform at 48 kHz gives the tables.
    """
    gain, quality, frequency = 10 ** (3.999843853973347 / 20), 0.7071752369554196, 1681.974450955533
    k = math.tan(math.pi * frequency / sample_rate)
    middle = gain**0.4996667741545416
    norm = 1 + k / quality + k * k
    shelf = (
        [(gain + middle * k / quality + k * k) / norm, 2 * (k * k - gain) / norm,
         (gain - middle * k / quality + k * k) / norm],
        [1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm],
    )  # fmt: skip
    quality, frequency = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * frequency / sample_rate)
    norm = 1 + k / quality + k * k
    return shelf, ([1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm])


def _filtered(x: Floats, b: list[float], a: list[float]) -> Floats:
    y, x1, x2, y1, y2 = [], 0.0, 0.0, 0.0, 0.0
    for value in x.tolist():
        out = b[0] * value + b[1] * x1 + b[2] * x2 - a[1] * y1 - a[2] * y2
        x1, x2, y1, y2 = value, x1, out, y1
        y.append(out)
    return np.array(y)
