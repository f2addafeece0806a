"""Opus (RFC 6716) by the real libopus, through opuslib."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import option, rate_in_kbps
from earmark.codec.audio import Audio, fit_length
from earmark.codec.errors import UserError

NATIVE_RATES = (8000, 12000, 16000, 24000, 48000)
LOWEST_KBPS, HIGHEST_KBPS = 6, 510

APPLICATIONS = {"audio": "audio", "voip": "voip", "lowdelay": "restricted_lowdelay"}  # ours -> opuslib's
BANDWIDTHS = ("nb", "mb", "wb", "swb", "fb")  # 4, 6, 8, 12, 20 kHz: OPUS_BANDWIDTH_NARROWBAND and the next four
NARROWBAND = 1101  # OPUS_BANDWIDTH_NARROWBAND in opus_defines.h
FRAMES = ("20", "2.5", "5", "10", "40", "60")  # ms


def bundled_libopus() -> str | None:
    """Path of the libopus in PyAV's wheel; None if there is none."""
    specification = importlib.util.find_spec("av")
    if specification is not None and specification.origin is not None:
        site = Path(specification.origin).parent.parent
        for pattern in ("av.libs/libopus-*", "av.libs/libopus.*", "av/.dylibs/libopus.*"):
            for path in sorted(site.glob(pattern)):
                return str(path)
    return None


def find_libopus(wanted: str = "") -> str | None:
    """Path or name of a libopus.

    Args:
        wanted: a path, or "system", or "" for the value of EARMARK_LIBOPUS, and without that the newest installed.
    """
    wanted = wanted or os.environ.get("EARMARK_LIBOPUS", "")
    if wanted == "system":
        return ctypes.util.find_library("opus")
    return wanted or _newest_libopus()


@functools.cache
def _newest_libopus() -> str | None:
    libraries = (bundled_libopus(), ctypes.util.find_library("opus"))
    return max((library for library in libraries if library is not None), key=_version_number, default=None)


def _version_number(library: str) -> tuple[int, ...]:
    """1.6.1 as (1, 6, 1); () for a library that does not load."""
    try:
        version_string = ctypes.CDLL(library).opus_get_version_string
    except (OSError, AttributeError):
        return ()
    version_string.restype = ctypes.c_char_p
    return tuple(map(int, re.findall(rb"\d+", version_string().partition(b"-")[0])))


@functools.cache
def _opuslib(library: str) -> ModuleType:
    """The module opuslib bound to one libopus.

    opuslib looks for the library when it is imported. A copy of the module per library allows two versions of Opus in
    one comparison.
    """

    def remove_modules() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] == "opuslib"]
        return {name: sys.modules.pop(name) for name in names}

    others = remove_modules()
    original = ctypes.util.find_library
    ctypes.util.find_library = lambda name: library if name == "opus" else original(name)
    try:
        importlib.import_module("opuslib.api.info")
        return importlib.import_module("opuslib")
    finally:
        ctypes.util.find_library = original
        remove_modules()
        sys.modules.update(others)


@dataclass
class OpusCodec:
    """Opus at one setting; the defaults of its options are those of opusenc.

    Args:
        library: path or name of libopus.
        application: a value of APPLICATIONS.
        vbr: "constrained", "on" or "off".
        bandwidth: one of BANDWIDTHS, or "auto" for the encoder's own choice.
        frame_ms: one of FRAMES.
    """

    name: str
    sample_rate: int
    channels: int
    bits_per_second: int
    library: str
    application: str
    complexity: int
    vbr: str
    bandwidth: str
    frame_ms: float

    @property
    def frame(self) -> int:
        """Samples in a frame."""
        return round(self.sample_rate * self.frame_ms / 1000)

    def _encoder(self) -> object:
        encoder = _opuslib(self.library).Encoder(self.sample_rate, self.channels, self.application)
        encoder.bitrate = self.bits_per_second
        encoder.complexity = self.complexity
        encoder.vbr = int(self.vbr != "off")
        encoder.vbr_constraint = int(self.vbr == "constrained")
        if self.bandwidth != "auto":
            encoder.bandwidth = NARROWBAND + BANDWIDTHS.index(self.bandwidth)
        return encoder

    @functools.cached_property
    def lookahead(self) -> int:
        """Delay of the codec in samples at `sample_rate`, as libopus reports it (OPUS_GET_LOOKAHEAD)."""
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
        return Encoded(packets, audio.shape[-1], seconds=frames * self.frame / self.sample_rate)

    def decode(self, encoded: Encoded) -> Audio:
        decoder = _opuslib(self.library).Decoder(self.sample_rate, self.channels)
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
    latency = "26.5 ms"  # a frame of 20 ms, and 6.5 ms of lookahead
    options: Mapping[str, tuple[str, ...]] = {
        "application": tuple(APPLICATIONS),
        "complexity": ("10", *map(str, range(10))),
        "vbr": ("constrained", "on", "off"),
        "bandwidth": ("auto", *BANDWIDTHS),
        "frame": FRAMES,
        "library": (),
    }

    def unavailable(self, system: System | None = None) -> str | None:
        if importlib.util.find_spec("opuslib") is None:
            return "opuslib is not installed; run `pip install opuslib`"
        library = self._library(system)
        if library is None:
            return "no libopus found; run `pip install av`, which includes one, or set EARMARK_LIBOPUS to its path"
        try:
            _opuslib(library)
        except (OSError, AttributeError) as error:
            return f"libopus does not load ({error}); name another one in EARMARK_LIBOPUS or the option library"
        return None

    def version(self, system: System | None = None) -> str:
        return str(_opuslib(self._library(system) or "").api.info.get_version_string().decode())

    def check(self, system: System) -> None:
        kbps = rate_in_kbps(system)
        if kbps < LOWEST_KBPS:
            raise UserError(f"{system.text}: Opus starts at {LOWEST_KBPS} kbps; try opus@{LOWEST_KBPS}")
        if kbps > HIGHEST_KBPS:
            raise UserError(f"{system.text}: Opus ends at {HIGHEST_KBPS} kbps; try opus@{HIGHEST_KBPS}")

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> OpusCodec:
        return OpusCodec(
            name=system.text,
            sample_rate=next((rate for rate in NATIVE_RATES if rate >= sample_rate), NATIVE_RATES[-1]),
            channels=channels,
            bits_per_second=round(rate_in_kbps(system) * 1000),
            library=self._library(system) or "",
            application=APPLICATIONS[option(system, "application")],
            complexity=int(option(system, "complexity")),
            vbr=option(system, "vbr"),
            bandwidth=option(system, "bandwidth"),
            frame_ms=float(option(system, "frame")),
        )

    def _library(self, system: System | None) -> str | None:
        return find_libopus("" if system is None else system.options.get("library", ""))
