"""AAC-LC (ISO/IEC 14496-3, subpart 4) by FFmpeg's own encoder and decoder, through PyAV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.baselines import ffmpeg
from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import rate_in_kbps
from earmark.codec.audio import Audio, fit_length
from earmark.codec.errors import UserError

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
RATE_INDEX = {48000: 3, 44100: 4, 32000: 5, 24000: 6, 22050: 7, 16000: 8, 12000: 9, 11025: 10, 8000: 11}  # table 1.18
AAC_LC = 2  # audio object type, table 1.17

LOWEST_KBPS, HIGHEST_KBPS = 16, 192
LEAST_BITS, MOST_BITS = 1 / 3, 3  # per sample and channel: outside, the encoder misses the nominal bit rate

FRAME = 1024  # samples
DELAY = 1024  # samples: first half of the first window, which lies before the signal (FFmpeg: initial_padding)


@dataclass
class AacCodec:
    """FFmpeg's encoder at an average bit rate. A packet is a raw_data_block, without ADTS header."""

    name: str
    sample_rate: int
    channels: int
    bits_per_second: int

    def encode(self, audio: Audio) -> Encoded:
        packets = ffmpeg.encode("aac", audio, self.sample_rate, self.bits_per_second)
        return Encoded(tuple(packets), audio.shape[-1], seconds=len(packets) * FRAME / self.sample_rate)

    def decode(self, encoded: Encoded) -> Audio:
        # AudioSpecificConfig (1.6.2.1): 5 bits object type, 4 sample rate, 4 channels, 3 zeros for 1024-sample frames
        # without extensions. It does not depend on the signal, so it does not count as payload.
        config = AAC_LC << 11 | RATE_INDEX[self.sample_rate] << 7 | self.channels << 3
        decoded = ffmpeg.decode("aac", encoded.packets, self.sample_rate, self.channels, config.to_bytes(2, "big"))
        return np.ascontiguousarray(fit_length(decoded[:, DELAY:], encoded.samples))


class Aac(Family):
    """AAC-LC at 16 to 192 kbps."""

    name = "aac"
    title = "AAC-LC"
    rates = f"{LOWEST_KBPS} to {HIGHEST_KBPS} kbps"
    example = "aac@64"
    sample_rates = "8 to 48 kHz"
    licence = "LGPL-2.1"
    latency = "43 ms at 48 kHz"  # a frame of 1024 samples and an overlap of 1024

    def unavailable(self, system: System | None = None) -> str | None:
        return ffmpeg.missing("aac")

    def version(self, system: System | None = None) -> str:
        return ffmpeg.version()

    def check(self, system: System) -> None:
        kbps = rate_in_kbps(system)
        if not LOWEST_KBPS <= kbps <= HIGHEST_KBPS:
            nearest = min(max(kbps, LOWEST_KBPS), HIGHEST_KBPS)
            raise UserError(f"{system.text}: AAC is used here at {self.rates}; try aac@{nearest:g}")

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> AacCodec:
        """Open at the source's sample rate, else at the nearest one above, then below, that allows the bit rate."""
        bits_per_second = round(rate_in_kbps(system) * 1000)
        possible = [rate for rate in SAMPLE_RATES if LEAST_BITS <= bits_per_second / (rate * channels) <= MOST_BITS]
        possible = possible or [SAMPLE_RATES[-1]]
        native = next((rate for rate in possible if rate >= sample_rate), possible[-1])
        return AacCodec(system.text, native, channels, bits_per_second)
