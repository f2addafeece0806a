"""Run one system, in this process or in a fresh one, and keep all that came back."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from earmark.baselines import programs
from earmark.baselines.interface import Codec, System
from earmark.baselines.systems import family_of
from earmark.codec.audio import Audio
from earmark.codec.errors import UserError
from earmark.eval.speed.worker import Worker


@dataclass(frozen=True)
class Format:
    """Sample rate in Hz and channel count."""

    sample_rate: int
    channels: int


@dataclass(frozen=True)
class Call:
    """The decoded signal of one source, and its measurements.

    Args:
        decoded: [channels, any time] at the codec's own rate, neither cut nor padded.
        bits: length of the payload.
        packets: their number; 1 if the bitstream is a file.
        digest: hash of the bitstream.
        encode_seconds, decode_seconds: time of the codec; None if its halves cannot be told apart.
        notes: conversions of the decoder's output, e.g. "22.05 kHz to 24 kHz".
    """

    decoded: Audio
    bits: int
    packets: int
    digest: str
    encode_seconds: float | None
    decode_seconds: float | None
    notes: tuple[str, ...] = ()


class Coder(Protocol):
    """Opens and runs one system; each kind of failure is a UserError."""

    def open(self, asked: Format) -> Format: ...

    def code(self, asked: Format, audio: Audio) -> Call: ...


class CoderHere:
    """Runs a system in this process. A codec stays open, so that it may keep a state."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._codecs: dict[Format, Codec] = {}

    def open(self, asked: Format) -> Format:
        """Open the codec for sources of a format, and return its own format."""
        codec = self._codec(asked)
        return Format(codec.sample_rate, codec.channels)

    def code(self, asked: Format, audio: Audio) -> Call:
        """Encode and decode [channels, time] in the codec's own format.

        Raises:
            UserError: the codec fails, or returns no array [channels, time].
        """
        codec = self._codec(asked)
        try:
            started = time.perf_counter()
            encoded = codec.encode(audio.copy())
            between = time.perf_counter()
            decoded = np.asarray(codec.decode(encoded))
            ended = time.perf_counter()
            digest = hashlib.sha256(b"".join(encoded.packets)).hexdigest()
            bits, packets = encoded.payload_bits, len(encoded.packets)
        except UserError as error:
            raise UserError(str(error).removeprefix(f"{self.system.text}: ")) from error
        except Exception as error:  # code of others may raise anything
            raise UserError(f"{type(error).__name__}: {error}") from error
        if decoded.ndim != 2 or decoded.shape[0] != audio.shape[0]:
            raise UserError(f"its decoder returned an array {list(decoded.shape)} for a source {list(audio.shape)}")
        notes = tuple(getattr(codec, "converted", ()))
        timed = getattr(codec, "timed", True)
        encoding, decoding = (between - started if timed else None), (ended - between if timed else None)
        return Call(decoded.astype(np.float32), bits, packets, digest, encoding, decoding, notes)

    def _codec(self, asked: Format) -> Codec:
        if asked not in self._codecs:
            try:
                self._codecs[asked] = family_of(self.system).open(self.system, asked.sample_rate, asked.channels)
            except UserError as error:
                raise UserError(str(error).removeprefix(f"{self.system.text}: ")) from error
            except Exception as error:
                raise UserError(f"{type(error).__name__}: {error}") from error
        return self._codecs[asked]


class CoderApart:
    """Runs a system in a process that began with it. After a crash the next call starts another."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._worker: Worker | None = None

    def open(self, asked: Format) -> Format:
        format: Format = self._ask("open", asked)
        return format

    def code(self, asked: Format, audio: Audio) -> Call:
        call: Call = self._ask("code", asked, audio)
        return call

    def _ask(self, *request: Any) -> Any:
        if self._worker is None:
            self._worker = _started(self.system)
        try:
            value, failure = self._worker.ask(request)
        except UserError:  # it died or hangs
            self.end()
            raise
        if failure is not None:
            raise UserError(failure)
        return value

    def end(self) -> None:
        """End the process, if there is one."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None


@contextmanager
def coder_apart(system: System) -> Iterator[Coder]:
    """A coder in a fresh process, which ends with the block."""
    coder = CoderApart(system)
    try:
        yield coder
    finally:
        coder.end()


def _started(system: System) -> Worker:
    context = multiprocessing.get_context("spawn")  # so that nothing of this process is there
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, system), daemon=True)
    process.start()
    theirs.close()  # so that its end closes the pipe
    return Worker(ours, process, 3 * programs.time_limit(10, system.timeout))


def _serve(pipe: Connection, system: System) -> None:
    """Answer requests until the other side ends."""
    coder = CoderHere(system)
    try:
        while True:
            name, *arguments = pipe.recv()
            try:
                pipe.send((getattr(coder, name)(*arguments), None))
            except UserError as error:
                pipe.send((None, str(error)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
