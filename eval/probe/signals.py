"""Test signals: a sweep, clicks, noise, synthetic speech, the same at full scale, and silence. All are seeded."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio, resample
from earmark.eval.demo import voice

SEED = 19
SECONDS = 2.01  # no multiple of any codec's frame
LEVEL = 0.1  # root mean square of noise and speech, -20 dBFS
FULL = 0.99  # peak of the signals at full scale
CLICKS = (0.11, 0.37, 0.52, 0.83, 1.09, 1.31, 1.62, 1.87)  # seconds; no two are the same time apart
SPEECH_RATE = 48_000
SWEEP_FROM = 50.0  # Hz


def sweep(sample_rate: int) -> Audio:
    """Sine from 50 Hz to half the sample rate, its frequency rising linearly, [1, time]."""
    time = np.arange(round(SECONDS * sample_rate)) / sample_rate
    slope = (sample_rate / 2 - SWEEP_FROM) / SECONDS
    return _mono(0.25 * np.sin(2 * np.pi * (SWEEP_FROM * time + slope * time**2 / 2)))


def clicks(sample_rate: int) -> Audio:
    """Single samples of half of full scale at uneven distances, [1, time]."""
    samples = np.zeros(round(SECONDS * sample_rate))
    samples[[round(at * sample_rate) for at in CLICKS]] = 0.5
    return _mono(samples)


def noise(sample_rate: int, seconds: float = SECONDS, channels: int = 1) -> Audio:
    """White Gaussian noise at -20 dBFS, another for each channel, [channels, time]."""
    rng = np.random.default_rng(SEED)
    length = round(seconds * sample_rate)
    return np.stack([LEVEL * rng.standard_normal(length) for _ in range(channels)]).astype(np.float32)


def speech(sample_rate: int) -> Audio:
    """A synthetic voice with a little breath below it, at -20 dBFS, [1, time]."""
    spoken = resample(_spoken(), SPEECH_RATE, sample_rate)
    return np.clip(spoken, -FULL, FULL)


def two_voices(sample_rate: int) -> Audio:
    """The voice on the left, and played backwards on the right, [2, time]."""
    left = speech(sample_rate)
    return np.concatenate([left, left[:, ::-1]])


@functools.cache
def _spoken() -> Audio:
    """The voice at SPEECH_RATE."""
    rng = np.random.default_rng(SEED)
    spoken = voice.talk(voice.utterance(voice.LOW_VOICE, rng), 112, SPEECH_RATE, rng)[: round(SECONDS * SPEECH_RATE)]
    spoken = spoken + 0.003 * np.sqrt(np.mean(spoken**2)) * rng.standard_normal(len(spoken))
    return _mono(LEVEL * spoken / np.sqrt(np.mean(spoken**2)))


def at_full_scale(audio: Audio) -> Audio:
    """The signal with a peak just below full scale."""
    return (audio * (FULL / np.abs(audio).max())).astype(np.float32)


def silence(sample_rate: int) -> Audio:
    """Zeros, [1, time]."""
    return np.zeros((1, round(SECONDS * sample_rate)), np.float32)


def _mono(samples: NDArray[np.floating]) -> Audio:
    return samples[np.newaxis].astype(np.float32)
