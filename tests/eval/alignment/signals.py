"""Signals, a noisy codec, and everything that may go wrong between a codec and its score."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from scipy import fft

from earmark.codec.audio import Audio, resample
from earmark.eval.demo import music, voice

RATE = 24_000
SECONDS = 2


@functools.cache
def clip(name: str) -> Audio:
    """Two seconds at 24 kHz, [channels, time]: speech, music, tone, noise, silence, or stereo."""
    rng, length = np.random.default_rng(7), SECONDS * RATE
    if name == "speech":
        phones = voice.utterance(voice.LOW_VOICE, rng)
        return (0.1 * voice.talk(phones, 112, RATE, rng)[None, RATE // 4 : RATE // 4 + length]).astype(np.float32)
    if name in ("music", "stereo"):
        samples = music.two_voices(RATE, rng)[:, RATE : RATE + length]
        return samples if name == "stereo" else samples[:1]
    if name == "tone":
        return (0.3 * np.sin(2 * np.pi * 997 * np.arange(length) / RATE))[None].astype(np.float32)
    if name == "noise":
        return (0.1 * rng.standard_normal((1, length))).astype(np.float32)
    return np.zeros((1, length), np.float32)


def coded(source: Audio) -> Audio:
    """The source with white noise 30 dB below it, the output of a codec without faults."""
    noise = np.random.default_rng(1).standard_normal(source.shape)
    return (source + 10**-1.5 * np.sqrt(np.mean(source**2)) * noise).astype(np.float32)


def late(samples: int) -> Callable[[Audio], Audio]:
    return lambda audio: np.pad(audio, [(0, 0), (samples, 0)])


def by_half(audio: Audio) -> Audio:
    """Half a sample late, by a linear phase."""
    padded = np.pad(audio, [(0, 0), (4096, 4096)])
    phase = np.exp(-1j * np.pi * np.arange(padded.shape[1] // 2 + 1) / padded.shape[1])
    return fft.irfft(fft.rfft(padded) * phase, padded.shape[1])[:, 4096:-4095].astype(np.float32)


def slower(ppm: float) -> Callable[[Audio], Audio]:
    """Played by a clock that is `ppm` slower: sample n has the source's time n / (1 + ppm / 1e6)."""

    def drifted(audio: Audio) -> Audio:
        # Blocks of 100 samples, each moved by its mean delay: at 200 ppm that is exact to 0.01 samples.
        length, block, margin = audio.shape[1], 100, 256
        padded = np.pad(audio, [(0, 0), (margin, margin + block)])
        result = np.zeros_like(audio)
        for first in range(0, length, block):
            time = np.arange(first, min(first + block, length)) / (1 + ppm * 1e-6)
            start = int(time[0])
            part = padded[:, start : start + 2 * margin + block]
            shift = float(np.mean(time - np.arange(start, start + len(time))))
            phase = np.exp(2j * np.pi * shift * fft.rfftfreq(part.shape[1]))
            result[:, first : first + len(time)] = fft.irfft(fft.rfft(part) * phase, part.shape[1])[
                :, margin : margin + len(time)
            ]
        return result

    return drifted


def clipped(audio: Audio) -> Audio:
    limit = 0.4 * np.abs(audio).max()
    return np.clip(audio, -limit, limit)


# Fault -> (what it does, the marks of which one tells it; none if the score must not change)
HALF = RATE * SECONDS // 2
FAULTS: dict[str, tuple[Callable[[Audio], Audio], tuple[str, ...]]] = {
    **{f"{samples} samples late": (late(samples), ()) for samples in (0, 1, 12, 37, 480, 5000, 47990)},
    "half a sample late": (by_half, ()),
    "300 samples early": (lambda audio: audio[:, 300:], ()),
    "12.5 samples late": (lambda audio: late(12)(by_half(audio)), ()),
    "37 samples late, cut": (lambda audio: late(37)(audio)[:, : audio.shape[1]], ()),
    "5000 samples late, cut": (lambda audio: late(5000)(audio)[:, : audio.shape[1]], ("missing",)),
    "inverted": (lambda audio: -audio, ("inverted",)),
    "37 samples late, inverted": (lambda audio: -late(37)(audio), ("inverted",)),
    "480 samples late, gain 0.5": (lambda audio: 0.5 * late(480)(audio), ("gain",)),
    "480 samples late, drift 50 ppm": (lambda audio: late(480)(slower(50)(audio)), ("drift",)),
    "gain 0.25": (lambda audio: 0.25 * audio, ("gain",)),
    "gain 2": (lambda audio: 2 * audio, ("gain",)),
    **{f"drift {ppm} ppm": (slower(ppm), ("drift",)) for ppm in (10, 50, 200, -50)},
    "100 samples lost": (lambda audio: np.delete(audio, slice(HALF, HALF + 100), axis=1), ("jump",)),
    "100 samples repeated": (
        lambda audio: np.concatenate([audio[:, :HALF], audio[:, HALF - 100 :]], axis=1), ("jump",)
    ),
    "0.2 s lost": (lambda audio: np.delete(audio, slice(HALF, HALF + RATE // 5), axis=1), ("jump", "missing")),
    "last 0.5 s missing": (lambda audio: audio[:, : -RATE // 2], ("missing",)),
    "last 0.5 s silent": (lambda audio: np.pad(audio[:, : -RATE // 2], [(0, 0), (0, RATE // 2)]), ("missing",)),
    "first 0.5 s missing": (lambda audio: audio[:, RATE // 2 :], ("missing",)),
    "0.1 s silent in the middle": (
        lambda audio: np.where(np.abs(np.arange(audio.shape[1]) - HALF) < RATE // 20, 0, audio), ("dropout",)
    ),
    "0.5 s extra": (lambda audio: np.pad(audio, [(0, 0), (0, RATE // 2)]), ("extra",)),
    "played too fast": (lambda audio: resample(audio, RATE, 22_050), ("unaligned", "missing", "approximate")),
    "offset": (lambda audio: audio + np.float32(0.05), ("offset",)),
    "clipped": (clipped, ("clipped",)),
}  # fmt: skip
STEREO_FAULTS: dict[str, tuple[Callable[[Audio], Audio], tuple[str, ...]]] = {
    "channels swapped": (lambda audio: audio[::-1], ("swapped",)),
    "swapped and late": (lambda audio: late(37)(audio[::-1]), ("swapped",)),
    "folded to mono": (lambda audio: np.repeat(audio.mean(axis=0, keepdims=True), 2, axis=0), ("folded",)),
    "right channel inverted": (lambda audio: audio * np.array([[1], [-1]], np.float32), ("channel inverted",)),
    "left channel silent": (lambda audio: audio * np.array([[0], [1]], np.float32), ("channel lost",)),
}  # fmt: skip
