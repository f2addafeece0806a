"""Codec 2 (rowetel.com), a parametric vocoder similar to MELP, through pycodec2."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np

from earmark.baselines import programs
from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import in_words, rate_in_kbps, require_rate
from earmark.codec.audio import Audio, fit_length, to_pcm16
from earmark.codec.extras import missing

SAMPLE_RATE = 8000
KBPS = (0.7, 1.2, 1.3, 1.4, 1.6, 2.4, 3.2)

# Samples at 8 kHz: half the analysis window of 40 ms, and for 700C another 10 ms of its quantiser of pitch and spectra.
# The decoder makes up the phases, so that envelopes align but waveforms do not.
DELAY, DELAY_700C = 160, 240


# The decoder draws the phases of unvoiced speech from a generator that libcodec2 keeps per process and that cannot be
# reset. In a process of its own each file decodes the same, whatever was decoded before.
DECODER = """
import sys, numpy, pycodec2
decoder = pycodec2.Codec2(int(sys.argv[1]))
size = decoder.bytes_per_frame()
stream = open("packets", "rb").read()
frames = [decoder.decode(stream[start : start + size]) for start in range(0, len(stream), size)]
numpy.concatenate(frames).tofile("pcm")
"""


@dataclass
class Codec2Codec:
    """Codec 2 in one mode. A packet is a frame of 20 or 40 ms, padded to whole bytes."""

    name: str
    kbps: float
    timeout: float | None = None
    sample_rate: int = SAMPLE_RATE
    channels: int = 1

    @property
    def delay(self) -> int:
        return DELAY_700C if self.kbps == min(KBPS) else DELAY

    def encode(self, audio: Audio) -> Encoded:
        encoder = self._state()
        frame = encoder.samples_per_frame()
        frames = -(-(audio.shape[-1] + self.delay) // frame)
        pcm, _ = to_pcm16(fit_length(audio, frames * frame))
        packets = tuple(encoder.encode(part) for part in np.split(pcm[:, 0], frames))
        bits, seconds = frames * encoder.bits_per_frame(), frames * frame / self.sample_rate
        return Encoded(packets, audio.shape[-1], bits, seconds)

    def decode(self, encoded: Encoded) -> Audio:
        with tempfile.TemporaryDirectory(prefix="earmark-codec2-") as name:
            folder = Path(name)
            (folder / "packets").write_bytes(b"".join(encoded.packets))
            limit = programs.time_limit(encoded.samples / SAMPLE_RATE, self.timeout)
            programs.run([sys.executable, "-c", DECODER, str(round(self.kbps * 1000))], folder, limit, self.name)
            pcm = np.fromfile(folder / "pcm", np.int16)[self.delay :]
        return np.ascontiguousarray(fit_length((pcm[None] / 32768).astype(np.float32), encoded.samples))

    def _state(self) -> Any:
        import pycodec2

        return pycodec2.Codec2(round(self.kbps * 1000))


class Codec2(Family):
    """Codec 2 at 0.7 to 3.2 kbps."""

    name = "codec2"
    title = "Codec 2"
    rates = in_words(KBPS)
    example = "codec2@2.4"
    sample_rates = "8 kHz mono"
    licence = "LGPL-2.1"
    latency = "40 ms, below 2.4 kbps 60 ms"

    def unavailable(self, system: System | None = None) -> str | None:
        return missing("pycodec2", extra="codec2")

    def version(self, system: System | None = None) -> str:
        return f"pycodec2 {package_version('pycodec2')}"

    def check(self, system: System) -> None:
        require_rate(system, KBPS)

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> Codec2Codec:
        return Codec2Codec(system.text, rate_in_kbps(system), system.timeout)
