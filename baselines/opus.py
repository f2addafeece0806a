"""Opus (RFC 6716) by the real libopus, through opuslib."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from baselines.interface import Encoded, Family, System
from baselines.systems import rate_in_kbps, refuse_options
from codec.audio import Audio, fit_length
from codec.errors import UserError

NATIVE_RATES = (8000, 12000, 16000, 24000, 48000)
LOWEST_KBPS, HIGHEST_KBPS = 6, 510


@functools.cache
def find_libopus() -> str | None:
    """Path or name of libopus: the one EARMARK_LIBOPUS names, else the one in PyAV's wheel, else the system's."""
    named = os.environ.get("EARMARK_LIBOPUS")
    if named:
        return named
    specification = importlib.util.find_spec("av")
    if specification is not None and specification.origin is not None:
        site = Path(specification.origin).parent.parent
        for pattern in ("av.libs/libopus-*", "av.libs/libopus.*", "av/.dylibs/libopus.*"):
            for path in sorted(site.glob(pattern)):
                return str(path)
    return ctypes.util.find_library("opus")


@functools.cache
def _opuslib() -> ModuleType:
    """The module opuslib, bound to the libopus of `find_libopus`; it asks ctypes for the library when imported."""
    original = ctypes.util.find_library
    ctypes.util.find_library = lambda name: find_libopus() if name == "opus" else original(name)
    try:
        importlib.import_module("opuslib.api.info")
        return importlib.import_module("opuslib")
    finally:
        ctypes.util.find_library = original


@dataclass
class OpusCodec:
    """Opus in 20 ms frames, application "audio", complexity 10, constrained VBR: what opusenc does by default."""

    name: str
    sample_rate: int
    channels: int
    bits_per_second: int

    @property
    def frame(self) -> int:
        """Samples in 20 ms."""
        return self.sample_rate // 50

    def _encoder(self) -> object:
        opus = _opuslib()
        encoder = opus.Encoder(self.sample_rate, self.channels, opus.APPLICATION_AUDIO)
        encoder.bitrate = self.bits_per_second
        encoder.complexity = 10
        return encoder

    @functools.cached_property
    def lookahead(self) -> int:
        """The codec's delay in samples at `sample_rate`, as libopus states it (OPUS_GET_LOOKAHEAD)."""
        return int(self._encoder().lookahead)  # type: ignore[attr-defined]

    @property
    def latency(self) -> float:
        """A frame and the lookahead."""
        return (self.frame + self.lookahead) / self.sample_rate

    def encode(self, audio: Audio) -> Encoded:
        encoder = self._encoder()
        frames = -(-(audio.shape[-1] + self.lookahead) // self.frame)
        padded = fit_length(audio, frames * self.frame)
        interleaved = np.ascontiguousarray(padded.T, dtype=np.float32)
        packets = tuple(
            encoder.encode_float(part.tobytes(), self.frame)  # type: ignore[attr-defined]
            for part in np.split(interleaved, frames)
        )
        return Encoded(packets, audio.shape[-1])

    def decode(self, encoded: Encoded) -> Audio:
        decoder = _opuslib().Decoder(self.sample_rate, self.channels)
        pcm = b"".join(decoder.decode_float(packet, self.frame) for packet in encoded.packets)
        audio = np.frombuffer(pcm, np.float32).reshape(-1, self.channels).T[:, self.lookahead :]
        return np.ascontiguousarray(fit_length(audio, encoded.samples))


class Opus(Family):
    """Opus at 6 to 510 kbps."""

    name = "opus"
    title = "Opus"
    rates = f"{LOWEST_KBPS} to {HIGHEST_KBPS} kbps"
    example = "opus@12"
    sample_rates = "8, 12, 16, 24, 48 kHz"
    licence = "BSD-3-Clause"

    def unavailable(self, system: System | None = None) -> str | None:
        if importlib.util.find_spec("opuslib") is None:
            return "the Python package opuslib is missing; run `pip install opuslib`"
        if find_libopus() is None:
            return "no libopus found; run `pip install av`, whose wheel has one, or set EARMARK_LIBOPUS to its path"
        try:
            _opuslib()
        except OSError as error:
            return f"libopus does not load ({error}); set EARMARK_LIBOPUS to another one"
        return None

    def version(self, system: System | None = None) -> str:
        return str(importlib.import_module("opuslib.api.info").get_version_string().decode()) if _opuslib() else ""

    def check(self, system: System) -> None:
        refuse_options(system)
        kbps = rate_in_kbps(system)
        if kbps < LOWEST_KBPS:
            raise UserError(f"{system.text}: Opus starts at {LOWEST_KBPS} kbps; try opus@{LOWEST_KBPS}")
        if not kbps <= HIGHEST_KBPS:
            raise UserError(f"{system.text}: Opus ends at {HIGHEST_KBPS} kbps; try opus@{HIGHEST_KBPS}")

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> OpusCodec:
        native = next((rate for rate in NATIVE_RATES if rate >= sample_rate), NATIVE_RATES[-1])
        return OpusCodec(system.text, native, channels, round(rate_in_kbps(system) * 1000))
