"""AMR-WB (3GPP TS 26.190): encoded by vo-amrwbenc, decoded by opencore-amr or FFmpeg through PyAV."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.baselines import ffmpeg
from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import in_words, rate_in_kbps, require_rate
from earmark.codec.audio import Audio, fit_length, to_pcm16

SAMPLE_RATE = 16000
FRAME = 320  # samples: 20 ms
CORE_BITS = {  # kbps -> bits per frame (TS 26.201, table 2); the position in this order is the mode's number
    6.6: 132, 8.85: 177, 12.65: 253, 14.25: 285, 15.85: 317, 18.25: 365, 19.85: 397, 23.05: 461, 23.85: 477,
}  # fmt: skip

# TS 26.190: the encoder looks 5 ms ahead; the filters to 12.8 kHz and back delay by 0.9375 ms in total.
DELAY = 80 + 15  # samples at 16 kHz

GOOD_QUALITY = 0x04  # Q bit of the storage format's frame header (RFC 4867, section 5.3), after 4 bits of mode

DECODERS = ("libopencore_amrwb", "amrwb")  # by preference


def find_encoder() -> str | None:
    """Path or name of vo-amrwbenc: the value of EARMARK_VO_AMRWBENC, else the system's library."""
    return os.environ.get("EARMARK_VO_AMRWBENC") or ctypes.util.find_library("vo-amrwbenc")


@functools.cache
def _library(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    library.E_IF_init.restype = ctypes.c_void_p
    library.E_IF_encode.argtypes = [
        ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.E_IF_exit.argtypes = [ctypes.c_void_p]
    return library


def _decoder() -> str:
    return next((name for name in DECODERS if ffmpeg.missing(name) is None), DECODERS[-1])


@dataclass
class AmrWbCodec:
    """One of the nine modes, without DTX. A packet is the core bits of a frame, padded to whole bytes."""

    name: str
    kbps: float
    encoder: str
    sample_rate: int = SAMPLE_RATE
    channels: int = 1

    @property
    def mode(self) -> int:
        return list(CORE_BITS).index(self.kbps)

    def encode(self, audio: Audio) -> Encoded:
        frames = -(-(audio.shape[-1] + DELAY) // FRAME)
        pcm, _ = to_pcm16(fit_length(audio, frames * FRAME))
        library = _library(self.encoder)
        state = library.E_IF_init()
        frame = ctypes.create_string_buffer(64)
        packets = []
        try:
            for part in np.split(pcm[:, 0], frames):
                size = library.E_IF_encode(state, self.mode, part.ctypes.data, frame, 0)
                packets.append(frame.raw[1:size])
        finally:
            library.E_IF_exit(state)
        bits, seconds = frames * CORE_BITS[self.kbps], frames * FRAME / SAMPLE_RATE
        return Encoded(tuple(packets), audio.shape[-1], bits, seconds)

    def decode(self, encoded: Encoded) -> Audio:
        header = bytes([self.mode << 3 | GOOD_QUALITY])
        decoded = ffmpeg.decode(_decoder(), [header + packet for packet in encoded.packets], SAMPLE_RATE, 1)
        return np.ascontiguousarray(fit_length(decoded[:, DELAY:], encoded.samples))


class AmrWb(Family):
    """AMR-WB in its nine modes."""

    name = "amr_wb"
    title = "AMR-WB"
    rates = in_words(CORE_BITS)
    example = "amr_wb@12.65"
    sample_rates = "16 kHz mono"
    licence = "Apache-2.0"
    latency = "25.9 ms"  # a frame of 20 ms, and the delay

    def unavailable(self, system: System | None = None) -> str | None:
        path = find_encoder()
        if path is None:
            return (
                "no vo-amrwbenc found; install it (Debian and Ubuntu: `apt-get install libvo-amrwbenc0`, macOS: "
                "`brew install vo-amrwbenc`), or set EARMARK_VO_AMRWBENC to its path"
            )
        try:
            _library(path)
        except (OSError, AttributeError) as error:
            return f"vo-amrwbenc does not load ({error}); set EARMARK_VO_AMRWBENC to another one"
        return ffmpeg.missing(_decoder())

    def version(self, system: System | None = None) -> str:
        return f"{Path(find_encoder() or '').name}, {_decoder()}, {ffmpeg.version()}"

    def check(self, system: System) -> None:
        require_rate(system, CORE_BITS)

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> AmrWbCodec:
        return AmrWbCodec(system.text, rate_in_kbps(system), find_encoder() or "")
