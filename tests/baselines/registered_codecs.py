"""Codecs as users write them, in a module that worker processes can import."""

from __future__ import annotations

import numpy as np

from earmark.baselines.interface import Encoded, Family


class Halved:
    """Keeps every second sample, or every `factor`th, in 16 bits."""

    sample_rate, channels = 16000, 1

    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def encode(self, audio):
        return Encoded(((audio[0, :: self.factor] * 32767).astype("<i2").tobytes(),), audio.shape[-1])

    def decode(self, encoded):
        samples = np.frombuffer(encoded.packets[0], "<i2").astype(np.float32) / 32767
        return samples.repeat(self.factor)[None, : encoded.samples]


def at_rate(kbps: float) -> Halved:
    return Halved(round(16 * 16 / kbps))


class HalvedFamily(Family):
    name = title = example = "halved"
    rates, sample_rates, licence = "128 kbps", "16 kHz mono", "yours"

    def unavailable(self, system=None):
        return None

    def version(self, system=None):
        return "1"

    def check(self, system):
        pass

    def kbps(self, system):
        return 128.0

    def open(self, system, sample_rate, channels):
        return Halved()
