"""MP3 (ISO/IEC 11172-3 and 13818-3) by LAME, decoded by FFmpeg, both through PyAV."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from baselines.interface import Encoded, Family, System
from baselines.systems import rate_in_kbps, refuse_options
from codec.audio import Audio, fit_length
from codec.errors import UserError

# Bit rates in kbps by version of the standard, and the sample rates each version has.
MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MPEG_2_5 = (8, 16, 24, 32, 40, 48, 56, 64)
BIT_RATES = {
    8000: MPEG_2_5, 11025: MPEG_2_5, 12000: MPEG_2_5,
    16000: MPEG_2, 22050: MPEG_2, 24000: MPEG_2,
    32000: MPEG_1, 44100: MPEG_1, 48000: MPEG_1,
}  # fmt: skip
ALL_RATES = sorted({rate for rates in BIT_RATES.values() for rate in rates})

DELAY = 1105  # samples: LAME's encoder 576, the decoder's filter bank 528 + 1


@dataclass
class Mp3Codec:
    """LAME at a constant bit rate, with FFmpeg's settings; LAME's own choice of another sample rate is not taken."""

    name: str
    sample_rate: int
    channels: int
    bits_per_second: int

    @property
    def layout(self) -> str:
        return "mono" if self.channels == 1 else "stereo"

    @property
    def latency(self) -> float:
        """A frame, 1152 samples in MPEG-1 and 576 in its extensions to lower sample rates, and the filter banks."""
        return ((1152 if self.sample_rate >= 32000 else 576) + DELAY) / self.sample_rate

    def encode(self, audio: Audio) -> Encoded:
        import av

        encoder = av.CodecContext.create("libmp3lame", "w")
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate = self.sample_rate
        encoder.layout = self.layout
        encoder.format = "fltp"
        encoder.bit_rate = self.bits_per_second
        encoder.open()
        size = encoder.frame_size
        # Room for the delay, so that the last samples of the source are in the stream too.
        padded = fit_length(audio, -(-(audio.shape[-1] + DELAY) // size) * size)

        def frames() -> Iterator[av.AudioFrame | None]:
            for start in range(0, padded.shape[-1], size):
                part = np.ascontiguousarray(padded[:, start : start + size])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=self.layout)
                frame.sample_rate = self.sample_rate
                frame.pts = start
                yield frame
            yield None

        packets = tuple(bytes(packet) for frame in frames() for packet in encoder.encode(frame))
        # Flushing emits whole frames that hold only silence behind the padded source.
        return Encoded(packets[: -(-padded.shape[-1] // size) + 1], audio.shape[-1])

    def decode(self, encoded: Encoded) -> Audio:
        import av

        decoder = av.CodecContext.create("mp3float", "r")
        assert isinstance(decoder, av.AudioCodecContext)
        packets = [*map(av.Packet, encoded.packets), None]
        frames = [
            frame.to_ndarray().astype(np.float32, copy=False) for packet in packets for frame in decoder.decode(packet)
        ]
        audio = np.concatenate(frames, axis=1)[:, DELAY:]
        return np.ascontiguousarray(fit_length(audio, encoded.samples))


@functools.cache
def lame_version() -> str:
    """LAME signs the padding of its frames; PyAV does not tell the version."""
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

    def unavailable(self, system: System | None = None) -> str | None:
        try:
            import av
        except ImportError:
            return "the Python package av is missing; run `pip install av`"
        if "libmp3lame" not in av.codecs_available:
            return "this build of PyAV has no LAME; run `pip install --only-binary av --force-reinstall av`"
        return None

    def version(self, system: System | None = None) -> str:
        return lame_version()

    def check(self, system: System) -> None:
        refuse_options(system)
        kbps = rate_in_kbps(system)
        if kbps not in ALL_RATES:
            nearest = min(ALL_RATES, key=lambda rate: abs(rate - kbps))
            raise UserError(f"{system.text}: MP3 has {', '.join(map(str, ALL_RATES))} kbps; try mp3@{nearest}")

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> Mp3Codec:
        """The source's own rate where the standard has it at this bit rate, else the next above, else the highest."""
        kbps = rate_in_kbps(system)
        rates = [rate for rate, bit_rates in BIT_RATES.items() if kbps in bit_rates]
        native = next((rate for rate in rates if rate >= sample_rate), rates[-1])
        return Mp3Codec(system.text, native, channels, round(kbps * 1000))
