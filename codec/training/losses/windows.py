"""Windows of the Fourier transforms that losses and discriminators look through (EnCodec paper, section 3.4)."""

from __future__ import annotations

MEL = tuple(2**i for i in range(5, 12))  # samples at any rate
MS_STFT = (2048, 1024, 512, 256, 128)  # samples at 24 kHz
MONO_STFT = 1024  # samples at 24 kHz


def scaled(window: int, sample_rate: int) -> int:
    """Of a discriminator: "for 48 kHz audio, we double the size of each STFT window"."""
    return max(1, round(sample_rate / 24000)) * window


def shortest_example(discriminators: tuple[str, ...], sample_rate: int) -> int:
    """Samples without which the losses' windows, or those of these discriminators, would find nothing to look at."""
    needs = {"ms_stft": max(MS_STFT), "mono_stft": MONO_STFT * 11 // 4}  # the latter halves its frames three times
    return max([*MEL, *(scaled(needs[kind], sample_rate) for kind in discriminators if kind in needs)])
