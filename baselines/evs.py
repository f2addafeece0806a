"""EVS (3GPP TS 26.445) by its reference programs EVS_cod and EVS_dec (TS 26.443), which users install themselves."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.baselines import g192, programs
from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import in_words, rate_in_kbps, require_rate
from earmark.codec.audio import Audio, fit_length, to_pcm16
from earmark.codec.errors import UserError

SAMPLE_RATES = (8000, 16000, 32000, 48000)
KBPS = (5.9, 7.2, 8.0, 9.6, 13.2, 16.4, 24.4, 32.0, 48.0, 64.0, 96.0, 128.0)
VARIABLE_KBPS = 5.9  # an average over speech; the programs offer it with DTX only
NARROWBAND_KBPS = 24.4  # highest rate for input at 8 kHz (TS 26.445, table 1)
FRAMES_PER_SECOND = 50
PCM = np.dtype("<i2")

# Both programs remove their part of the delay: the encoder drops the first 9.6875 ms of its input and with it a partial
# last frame; the decoder drops 2.3125 ms and appends silence. Padding protects the end of the source from both.
SILENCE_SECONDS = 0.003

HOW_TO_GET = (
    "the 3GPP reference programs EVS_cod and EVS_dec are missing; their licence forbids shipping them: download the C "
    "code of TS 26.443 from www.3gpp.org (DynaReport/26443.htm), run `make` in its folder c-code, and set "
    "EARMARK_EVS_DIR to that folder, or put both programs on PATH"
)


@dataclass(frozen=True)
class Programs:
    """Paths of EVS_cod and EVS_dec."""

    encoder: Path
    decoder: Path


def find_programs() -> Programs | None:
    """Find both programs in the folder EARMARK_EVS_DIR, or else on PATH."""
    folder = os.environ.get("EARMARK_EVS_DIR") or None
    encoder, decoder = (shutil.which(name, path=folder) for name in ("EVS_cod", "EVS_dec"))
    return Programs(Path(encoder).resolve(), Path(decoder).resolve()) if encoder and decoder else None


@functools.cache
def programs_version(encoder: Path, decoder: Path) -> str:
    """Version in the banner of the encoder, and hash of both programs, as builds differ, too."""
    digest = hashlib.sha256(encoder.read_bytes() + decoder.read_bytes()).hexdigest()[:16]
    banner = ""
    with suppress(OSError, subprocess.TimeoutExpired):  # without arguments the encoder prints its usage and fails
        _, banner, _ = programs.captured([str(encoder)], None, timeout=10)
    match = re.search(r"Version\s+([\d.]+)", banner)
    return f"TS 26.443 {match[1] if match else 'of unknown version'}, {digest}"


@dataclass
class EvsCodec:
    """EVS at one bit rate, mono. A packet is a frame of 20 ms; at 5.9 kbps, with DTX, some are short or empty."""

    name: str
    sample_rate: int
    kbps: float
    programs: Programs
    timeout: float | None = None
    channels: int = 1

    def encode(self, audio: Audio) -> Encoded:
        frame = self.sample_rate // FRAMES_PER_SECOND
        frames = -(-(audio.shape[-1] + round(SILENCE_SECONDS * self.sample_rate)) // frame) + 1
        pcm, _ = to_pcm16(fit_length(audio, frames * frame))
        dtx = ["-dtx"] if self.kbps == VARIABLE_KBPS else []  # the last option, as it would take a number after it
        rate = [str(round(self.kbps * 1000)), str(self.sample_rate // 1000)]
        bitstream = self._run([str(self.programs.encoder), "-q", *dtx, *rate], pcm.astype(PCM).tobytes(), frames)
        try:
            packets = g192.unpack(bitstream)
        except ValueError as error:
            raise UserError(f"{self.name}: EVS_cod wrote no G.192 bitstream: {error}") from error
        sizes = {8 * len(packet) for packet in packets}
        if self.kbps != VARIABLE_KBPS and sizes != {round(self.kbps * 1000 / FRAMES_PER_SECOND)}:
            raise UserError(f"{self.name}: EVS_cod wrote frames of {sorted(sizes)} bits; is it the one of TS 26.443?")
        return Encoded(tuple(packets), audio.shape[-1], seconds=len(packets) / FRAMES_PER_SECOND)

    def decode(self, encoded: Encoded) -> Audio:
        command = [str(self.programs.decoder), "-q", str(self.sample_rate // 1000)]
        output = self._run(command, g192.pack(encoded.packets), len(encoded.packets))
        if len(output) < encoded.samples * PCM.itemsize:
            raise UserError(f"{self.name}: EVS_dec wrote {len(output)} bytes for {encoded.samples} samples of 16 bits")
        pcm = np.frombuffer(output, PCM, encoded.samples)
        return (pcm[None] / 32768).astype(np.float32)

    def _run(self, command: list[str], content: bytes, frames: int) -> bytes:
        """Run a program with `content` as its input file and return the content of its output file."""
        with tempfile.TemporaryDirectory(prefix="earmark-evs-") as name:
            folder = Path(name)
            (folder / "input").write_bytes(content)
            limit = programs.time_limit(frames / FRAMES_PER_SECOND, self.timeout)
            programs.run([*command, "input", "output"], folder, limit, self.name)
            try:
                return (folder / "output").read_bytes()
            except FileNotFoundError:
                raise UserError(f"{self.name}: {Path(command[0]).name} wrote no output") from None


class Evs(Family):
    """EVS at 5.9 kbps (variable) to 128 kbps."""

    name = "evs"
    title = "EVS"
    rates = in_words(KBPS)
    example = "evs@9.6"
    sample_rates = "8, 16, 32, 48 kHz mono"
    licence = "3GPP, may not be shipped"
    latency = "32 ms"

    def unavailable(self, system: System | None = None) -> str | None:
        return None if find_programs() else HOW_TO_GET

    def version(self, system: System | None = None) -> str:
        programs = _require_programs()
        return programs_version(programs.encoder, programs.decoder)

    def check(self, system: System) -> None:
        require_rate(system, KBPS)

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> EvsCodec:
        """Open at the next sample rate above the source's, e.g. 32 kHz for 24 kHz; above 24.4 kbps 16 kHz or more."""
        kbps = rate_in_kbps(system)
        least = sample_rate if kbps <= NARROWBAND_KBPS else max(sample_rate, 16000)
        native = next((rate for rate in SAMPLE_RATES if rate >= least), SAMPLE_RATES[-1])
        return EvsCodec(system.text, native, kbps, _require_programs(), system.timeout)


def _require_programs() -> Programs:
    programs = find_programs()
    if programs is None:
        raise UserError(f"evs: {HOW_TO_GET}")
    return programs
