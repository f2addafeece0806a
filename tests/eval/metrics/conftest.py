"""Signals for the metrics: one that sounds like speech, and real clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.codec import audio

Clip = Callable[[str, float, int], np.ndarray]


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """Three seconds of vowels with pauses between them, [1, time] at 16 kHz: 120 Hz voice, four syllables a second."""
    time = np.arange(3 * 16000) / 16000
    voice = sum(np.sin(2 * np.pi * 120 * k * time + k * k) / k for k in range(1, 60))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, None) * (time % 1 < 0.75)
    noise = np.random.default_rng(0).standard_normal(time.size)
    return (0.1 * voice * syllables + 1e-4 * noise).astype(np.float32)[None]


@pytest.fixture(scope="session")
def noisy(speech: np.ndarray) -> np.ndarray:
    """`speech` with white noise 30 dB below it."""
    noise = np.random.default_rng(1).standard_normal(speech.shape) * speech.std() * 10 ** (-30 / 20)
    return (speech + noise).astype(np.float32)


@pytest.fixture(scope="session")
def clip(shared: Path) -> Clip:
    """The first seconds of a real recording, mixed to mono: clip(name, seconds, rate) is [1, time]."""

    def read(name: str, seconds: float, rate: int) -> np.ndarray:
        recording = audio.read(shared / "audio" / name)
        mono = recording.samples[:, : round(seconds * recording.sample_rate)].mean(axis=0, keepdims=True)
        return audio.resample(mono, recording.sample_rate, rate)

    return read
