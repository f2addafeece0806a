"""Measurements of a recording while it is encoded: loudness, samples beyond full scale, stereo that cancels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from earmark.codec.audio.blocks import AudioStream
from earmark.codec.audio.loudness import LoudnessMeter
from earmark.codec.audio.signals import Audio

CANCELS = 10.0  # dB that the mean of left and right lies below them; 3 dB for unrelated channels


class SignalWatch:
    """Applies the options --channels and --gain to a recording, and measures what passes.

    Args:
        picked: "left" or "right" to code only that channel of a stereo recording, else "mix".
        gain: in dB.
        mono: whether the model is mono.
    """

    def __init__(self, recording: AudioStream, picked: str, gain: float, mono: bool) -> None:
        self.recording = recording
        self.picked = picked if recording.channels == 2 else "mix"
        self.gain = gain
        self._mono = mono and recording.channels == 2 and self.picked == "mix"
        self._meter = LoudnessMeter(recording.sample_rate, recording.channels)
        self._beyond = 0
        self._peak = 0.0
        self._energy = self._energy_of_mean = 0.0

    def stream(self) -> AudioStream:
        """The recording to be coded; can be iterated over once."""
        channels = self.recording.channels if self.picked == "mix" else 1
        return replace(self.recording, channels=channels, blocks=self._blocks())

    def _blocks(self) -> Iterator[Audio]:
        factor = np.float32(10 ** (self.gain / 20))
        for block in self.recording.blocks:
            self._meter.push(block)
            picked = {"left": block[:1], "right": block[1:]}.get(self.picked, block)
            coded = picked * factor if self.gain else picked
            sizes = np.abs(coded)
            self._beyond += int(np.count_nonzero(sizes > 1))
            self._peak = max(self._peak, float(sizes.max(initial=0)))
            if self._mono:
                self._energy += float(np.square(coded, dtype=np.float64).mean(axis=0).sum())
                self._energy_of_mean += float(np.square(coded.mean(axis=0), dtype=np.float64).sum())
            yield coded

    @property
    def loudness(self) -> float | None:
        """Integrated loudness of the source in LUFS, before --gain; None if it is silent or shorter than 400 ms."""
        return self._meter.loudness()

    def notes(self) -> list[str]:
        """Notes on the signal for the user, one line each."""
        notes = []
        if self._beyond:
            over = 20 * math.log10(self._peak)
            fitting = math.floor(10 * (self.gain - over)) / 10
            notes.append(
                f"{self._beyond} samples beyond full scale, up to {over:+.1f} dB; the model knows none such, and "
                f"decoding limits them: use --gain {fitting:g}"
            )
        if self._energy > 0 and self._energy_of_mean < self._energy * 10 ** (-CANCELS / 10):
            below = -10 * math.log10(max(self._energy_of_mean / self._energy, 1e-12))
            notes.append(
                f"left and right cancel: their mean, which a mono model codes, is {below:.0f} dB below them; use "
                "--channels left or --model encodec_48khz"
            )
        return notes
