"""MP3 (ISO/IEC 11172-3 and 13818-3) by LAME, decoded by FFmpeg, both through PyAV."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np

from earmark.baselines import ffmpeg
from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import rate_in_kbps, require_rate
from earmark.codec.audio import Audio, fit_length

# Bit rates in kbps of each version of the standard, and its sample rates.
MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MPEG_2_5 = (8, 16, 24, 32, 40, 48, 56, 64)
BIT_RATES = {
    8000: MPEG_2_5, 11025: MPEG_2_5, 12000: MPEG_2_5,
    16000: MPEG_2, 22050: MPEG_2, 24000: MPEG_2,
    32000: MPEG_1, 44100: MPEG_1, 48000: MPEG_1,
}  # fmt: skip
ALL_RATES = sorted({rate for rates in BIT_RATES.values() for rate in rates})

LOWEST_MPEG_1_RATE = 32000

DELAY = 1105  # samples: LAME's encoder 576, the decoder's filter bank 528 + 1


@dataclass
class Mp3Codec:
    """LAME at a constant bit rate, with FFmpeg's settings, which keep LAME from choosing another sample rate."""

    name: str
    sample_rate: int
    channels: int
    bits_per_second: int

    @property
    def latency(self) -> float:
        """A frame (1152 samples in MPEG-1, 576 in its extensions to lower sample rates) and the filter banks."""
        return ((1152 if self.sample_rate >= LOWEST_MPEG_1_RATE else 576) + DELAY) / self.sample_rate

    def encode(self, audio: Audio) -> Encoded:
        size = 1152 if self.sample_rate >= LOWEST_MPEG_1_RATE else 576
        # Room for the delay, so that the stream has the last samples of the source, too.
        frames = -(-(audio.shape[-1] + DELAY) // size)
        packets = ffmpeg.encode("libmp3lame", fit_length(audio, frames * size), self.sample_rate, self.bits_per_second)
        # Flushing emits further frames, which hold only silence after the padded source.
        kept = tuple(packets[: frames + 1])
        return Encoded(kept, audio.shape[-1], seconds=len(kept) * size / self.sample_rate)

    def decode(self, encoded: Encoded) -> Audio:
        decoded = ffmpeg.decode("mp3float", encoded.packets, self.sample_rate, self.channels)
        return np.ascontiguousarray(fit_length(decoded[:, DELAY:], encoded.samples))


@functools.cache
def lame_version() -> str:
    """Version that LAME writes into the padding of its frames, as PyAV does not have it."""
    codec = Mp3Codec("mp3", 16000, 1, 160000)
    stream = b"".join(codec.encode(np.zeros((1, 16000), np.float32)).packets)
    match = re.search(rb"LAME[\d.]+\d", stream)
    return match[0].decode() if match else "LAME of unknown version"


class Mp3(Family):
    """MP3 at 8 to 320 kbps."""

    name = "mp3"
    title = "MP3"
    rates = f"{ALL_RATES[0]} to {ALL_RATES[-1]} kbps, {len(ALL_RATES)} steps"
    example = "mp3@64"
    sample_rates = "8 to 48 kHz"
    licence = "LGPL-2.0"
    latency = "47 ms at 48 kHz"  # a frame of 1152 samples and the delay, without the bit reservoir

    def unavailable(self, system: System | None = None) -> str | None:
        return ffmpeg.missing("libmp3lame", "mp3float")

    def version(self, system: System | None = None) -> str:
        return lame_version()

    def check(self, system: System) -> None:
        require_rate(system, ALL_RATES)

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> Mp3Codec:
        """Open at the source's sample rate, else at the next one above, else the highest, that has the bit rate."""
        kbps = rate_in_kbps(system)
        rates = [rate for rate, bit_rates in BIT_RATES.items() if kbps in bit_rates]
        native = next((rate for rate in rates if rate >= sample_rate), rates[-1])
        return Mp3Codec(system.text, native, channels, round(kbps * 1000))
