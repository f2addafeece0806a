"""Headphone checks by listening: signals that can be judged only with headphones.

"huggins" (Milne et al. 2020, doi 10.3758/s13428-020-01514-0): three intervals of white noise, 1000 ms each. In one of
them the phase of the right ear's noise is shifted by 180° within 6 % of 600 Hz. If each ear gets its own signal, this
is heard as a faint tone in the noise (Huggins pitch). All of six trials must be right.

"antiphase" (Woods et al. 2017, doi 10.3758/s13414-017-1361-2): three tones of 200 Hz, 1000 ms each, with ramps of
100 ms. One is 6 dB softer. Another is in antiphase between the ears; loudspeakers cancel it, so that it seems the
softest. Five of six trials must be right.

The silence of 500 ms between intervals is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from random import Random
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

Method = Literal["huggins", "antiphase"]

TRIALS = 6
PASS_MARKS: Mapping[str, int] = {"huggins": 6, "antiphase": 5}  # right answers

RATE = 48000
INTERVAL, GAP, RAMP = 1.0, 0.5, 0.1  # seconds
SECONDS = 3 * INTERVAL + 2 * GAP  # length of a trial
LEVEL = 10 ** (-26 / 20)  # RMS of a noise or tone, relative to full scale; about the level of the stimuli
CENTRE, HALF_BAND = 600.0, 0.06  # Hz, and a share of it
TONE = 200.0  # Hz
SOFTER = 10 ** (-6 / 20)


@dataclass(frozen=True)
class Round:
    """One trial of a check.

    Args:
        answer: the correct interval, 1 to 3.
        other: antiphase only: the interval in antiphase.
        noise: huggins only: number of the noise, 0 to 5.
    """

    answer: int
    other: int
    noise: int


def rounds(secret: str, attempt: int) -> list[Round]:
    """The trials of one attempt, the same for the same secret.

    Args:
        secret: of one listener's check; never sent to the browser.
        attempt: from 0.
    """
    rng = Random(f"{secret}/{attempt}")
    made = []
    for noise in range(TRIALS):
        answer, other, _ = rng.sample([1, 2, 3], 3)
        made.append(Round(answer, other, noise))
    return made


@lru_cache(maxsize=36)
def wav(method: Method, one: Round) -> bytes:
    """A trial as a stereo 16-bit WAV file. All files of a method have the same length."""
    signal = huggins(one) if method == "huggins" else antiphase(one)
    file = BytesIO()
    soundfile.write(file, signal.T, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def huggins(one: Round) -> NDArray[np.float64]:
    """Three noises, the correct one with Huggins pitch: [left and right, time] at RATE."""
    rng = np.random.default_rng(one.noise)
    samples = round(INTERVAL * RATE)
    noises = []
    for interval in (1, 2, 3):
        left = LEVEL * rng.standard_normal(samples)
        noises.append(np.stack([left, _shifted(left) if interval == one.answer else left]))
    return _spaced(noises)


def antiphase(one: Round) -> NDArray[np.float64]:
    """Three tones, the correct one softer, another in antiphase: [left and right, time] at RATE."""
    time = np.arange(round(INTERVAL * RATE)) / RATE
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(time, INTERVAL - time) / RAMP, 1))
    tone = np.sqrt(2) * LEVEL * ramp * np.sin(2 * np.pi * TONE * time)
    tones = []
    for interval in (1, 2, 3):
        left = SOFTER * tone if interval == one.answer else tone
        tones.append(np.stack([left, -left if interval == one.other else left]))
    return _spaced(tones)


def _shifted(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """The noise with the phase shifted by 180° within the band; magnitudes are unchanged."""
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(noise.size, 1 / RATE)
    spectrum[np.abs(frequencies - CENTRE) <= HALF_BAND * CENTRE] *= -1
    return np.fft.irfft(spectrum, noise.size)


def _spaced(intervals: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    gap = np.zeros((2, round(GAP * RATE)))
    first, second, third = intervals
    return np.concatenate([first, gap, second, gap, third], axis=1)
