"""A small corpus, and the command `earmark`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from earmark.codec import audio
from earmark.eval.metrics import registry
from tests.earmark.calling import call


def coloured_noise(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Low-pass noise that swells and fades, [channels, time]: every metric has a value for it."""
    rng = np.random.default_rng(seed)
    noise = lfilter([1], [1, -0.9], rng.standard_normal((channels, round(seconds * rate))))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(noise.shape[1]) / rate)
    return (0.08 * noise * swell).astype(np.float32)


@pytest.fixture(autouse=True)
def own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that a test registers, by a command run in this process for example, ends with the test."""
    monkeypatch.setattr(registry, "_METRICS", registry.registered())


@pytest.fixture
def corpus_dir(tmp_path: Path) -> Path:
    """Three recordings in two categories."""
    folder = tmp_path / "audio"
    audio.write(folder / "speech" / "a.wav", coloured_noise(1.5, 16000, seed=1), 16000)
    audio.write(folder / "music" / "b.wav", coloured_noise(1.5, 44100, channels=2, seed=2), 44100)
    audio.write(folder / "music" / "c.wav", coloured_noise(1.5, 48000, seed=3), 48000)
    return folder


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def earmark(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `earmark ARGUMENTS` in this process, which saves its imports and the start of a server of workers."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*map(str, arguments)]
        return subprocess.CompletedProcess(command, *call(command, capsys))

    return run
