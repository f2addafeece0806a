"""A codec that a user wrote in Python as a plain class, function or object, with the interface of a `Family`."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import cloudpickle

from earmark.baselines.interface import Codec, Family, System
from earmark.codec.errors import UserError

REQUIRED = ("sample_rate", "channels", "encode", "decode")
OPEN = 8  # codecs that stay in memory in each process


class OwnCodec(Family):
    """One codec of the user's, at the bit rate it has or at the one that its maker is called with.

    Args:
        codec: a `Codec` object, or a class or function that returns one, called without arguments or with kbps=RATE.

    Raises:
        UserError: it is neither.
    """

    sample_rates = "its own"
    licence = "yours"

    def __init__(self, name: str, codec: Codec | Callable[..., Codec]) -> None:
        self.name = self.title = name
        self.codec = codec
        self.is_maker = isinstance(codec, type) or not hasattr(codec, "encode")
        if self.is_maker and not callable(codec):
            raise UserError(
                f"{name}: {type(codec).__name__} is no codec; give a class or object with {', '.join(REQUIRED)}, or a "
                "function that returns one"
            )
        if not self.is_maker:
            _check(name, codec)
        self.pickled = _pickled(name, codec)
        self._version = self._identified()  # here, as a worker may not see the source
        self.takes_rate = self.is_maker and "kbps" in inspect.signature(codec).parameters  # type: ignore[arg-type]
        self.example = f"{name}@12" if self.takes_rate else name
        self.rates = "what you name" if self.takes_rate else "its own"

    def unavailable(self, system: System | None = None) -> str | None:
        return None

    def version(self, system: System | None = None) -> str:
        return self._version

    def _identified(self) -> str:
        """Attribute `version` of the codec, else hashes of the file that defines it and of its content.

        Changes in other files are not seen: a codec that loads weights or calls other modules should have a `version`.
        """
        version = getattr(self.codec, "version", None)
        if isinstance(version, str | int | float):
            return str(version)
        return f"source {_source_digest(self.codec)}, content {hashlib.sha256(self.pickled).hexdigest()[:16]}"

    def check(self, system: System) -> None:
        if self.takes_rate != (system.rate is not None):
            rule = "has a parameter kbps, so name a rate" if self.takes_rate else "takes no rate"
            raise UserError(f"{system.text}: it {rule}; write {self.example}")
        if system.rate is not None and not re.fullmatch(r"\d+(\.\d+)?", system.rate, re.ASCII):
            raise UserError(f"{system.text}: its rate is a number of kbps; write {self.example}")

    def kbps(self, system: System) -> float | None:
        if system.rate is not None:
            return float(system.rate)
        kbps = getattr(self.codec, "kbps", None)
        return float(kbps) if isinstance(kbps, int | float) else None

    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        codec = _made(self.pickled, system.rate) if self.is_maker else self.codec
        _check(system.text, codec)
        return codec  # type: ignore[return-value]


@functools.lru_cache(OPEN)
def _made(maker: bytes, rate: str | None) -> Codec:
    """Make the codec once per process, as workers code many files with it; each task brings a copy of its maker."""
    make = pickle.loads(maker)
    codec: Codec = make() if rate is None else make(kbps=float(rate))
    return codec


def _pickled(name: str, codec: object) -> bytes:
    try:
        return cloudpickle.dumps(codec)
    except Exception as error:  # objects of others may raise anything
        raise UserError(
            f"{name}: cannot be sent to worker processes ({error}); define its class at the top of a module, and load "
            "libraries and models in that class"
        ) from error


def _check(name: str, codec: object) -> None:
    absent = [attribute for attribute in REQUIRED if not hasattr(codec, attribute)]
    if absent:
        raise UserError(f"{name}: {type(codec).__name__} is no codec; it has no {', '.join(absent)}")


def _source_digest(codec: object) -> str:
    """Hash of the file, or in a notebook of the class or function, that defines a codec."""
    while isinstance(codec, functools.partial):
        codec = codec.func
    definition = codec if isinstance(codec, type) or inspect.isroutine(codec) else type(codec)
    try:
        file = Path(inspect.getsourcefile(definition) or "")
        source = file.read_bytes() if file.is_file() else inspect.getsource(definition).encode()
    except (OSError, TypeError):
        return "unknown"
    return hashlib.sha256(source).hexdigest()[:16]
