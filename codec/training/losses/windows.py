"""STFT windows of the losses and of the discriminators (EnCodec paper, section 3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MEL = tuple(2**i for i in range(5, 12))  # samples at every sample rate
MS_STFT = (2048, 1024, 512, 256, 128)  # samples at 24 kHz
MONO_STFT = 1024  # samples at 24 kHz


def scaled(window: int, sample_rate: int) -> int:
    """Scale a window of a discriminator: "for 48 kHz audio, we double the size of each STFT window"."""
    return max(1, round(sample_rate / 24000)) * window


def shortest_example(discriminators: tuple[str, ...], sample_rate: int) -> int:
    """Number of samples that the windows of the losses and of the given discriminators need at least."""
    needs = {
        "ms_stft": max(MS_STFT),
        "mono_stft": MONO_STFT * 11 // 4,
    }  # 8 frames, halved three times
    return max([*MEL, *(scaled(needs[kind], sample_rate) for kind in discriminators if kind in needs)])


def drawn(draws: np.random.Generator, count: int) -> list[int] | None:
    """Numbers of the windows of MS_STFT that an update uses, `count` of them; None for all, if `count` is 0."""
    return sorted(draws.choice(len(MS_STFT), count, replace=False).tolist()) if count else None
