"""A codec that a user wrote in Python as a plain class, function or object, with the interface of a `Family`."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle

from earmark.baselines import definition
from earmark.baselines.interface import Codec, System
from earmark.baselines.parcels import Parcel
from earmark.baselines.users_codec import UsersCodec
from earmark.codec.errors import UserError

REQUIRED = ("sample_rate", "channels", "encode", "decode")
MOST_LOADED = 8  # codecs that stay in memory in each process


class OwnCodec(UsersCodec):
    """A codec of the user's: a `Codec` object, or a class or function that returns one.

    Goes to other processes as bytes that any of them can load, even if its class is defined in a notebook.

    Args:
        codec: a class or function is called without arguments, or with kbps=RATE if it has a parameter `kbps`.

    Raises:
        UserError: it is not a codec.
    """

    sample_rates = "its own"

    def __init__(self, name: str, codec: Codec | Callable[..., Codec]) -> None:
        self.is_maker = isinstance(codec, type) or not hasattr(codec, "encode")
        if self.is_maker and not callable(codec):
            raise UserError(
                f"{name}: {type(codec).__name__} is not a codec; give a class or object with {', '.join(REQUIRED)}, or "
                "a function that returns one (`earmark.as_codec` makes a codec of a model or of a function of audio)"
            )
        if not self.is_maker:
            _check(name, codec)
        takes_rate = self.is_maker and "kbps" in _parameters(codec)
        super().__init__(name, takes_rate=takes_rate, parameter="a parameter kbps")
        kbps, version = getattr(codec, "kbps", None), getattr(codec, "version", None)
        self.nominal = float(kbps) if isinstance(kbps, int | float) else None
        self.identity = str(version) if isinstance(version, str | int | float) else _identity(codec)
        self._here: Codec | Callable[..., Codec] | None = codec
        self._parcel: Parcel | None = None

    def version(self, system: System | None = None) -> str:
        """Attribute `version` of the codec, else hashes of the file that defines it and of its content.

        Changes in other files are not seen: a codec that loads weights or calls other modules should have a `version`.
        """
        return self.identity

    def kbps(self, system: System) -> float | None:
        return self.nominal if system.rate is None else super().kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        rate = system.rate if self.takes_rate else None
        here: Any = self._here
        if here is not None:
            codec = _made(here, rate) if self.is_maker else here
        else:
            assert self._parcel is not None
            codec = _loaded(self._parcel, self.is_maker, rate)
        _check(system.text, codec)
        checked: Codec = codec
        return checked

    def require_sendable(self) -> None:
        """Check that the codec can be sent to other processes.

        Raises:
            UserError: it cannot.
        """
        if self._parcel is None:
            self._parcel = Parcel(_pickled(self.name, self._here))

    def __getstate__(self) -> dict[str, Any]:
        self.require_sendable()
        return self.__dict__ | {"_here": None}


@functools.lru_cache(MOST_LOADED)
def _made(maker: Callable[..., Codec], rate: str | None) -> Codec:
    """Call a maker once per process and bit rate, as it may load a large model."""
    return maker() if rate is None else maker(kbps=float(rate))


@functools.lru_cache(MOST_LOADED)
def _loaded(parcel: Parcel, is_maker: bool, rate: str | None) -> Codec:
    """Load a codec once per process, as workers code many files with it and receive it with each task."""
    content: Any = pickle.loads(parcel.content)
    if not is_maker:
        return content
    codec: Codec = content() if rate is None else content(kbps=float(rate))
    return codec


def _parameters(maker: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(maker).parameters)
    except (TypeError, ValueError):  # of a C extension
        return ()


def _check(name: str, codec: object) -> None:
    absent = [attribute for attribute in REQUIRED if not hasattr(codec, attribute)]
    if absent:
        raise UserError(f"{name}: {type(codec).__name__} is not a codec; it has no {', '.join(absent)}")


def _pickled(name: str, codec: object) -> bytes:
    try:
        content: bytes = cloudpickle.dumps(codec)
    except Exception as error:  # objects of others may raise anything
        raise UserError(
            f"{name}: cannot be sent to worker processes ({error}); run it in this process by jobs=0, or give its "
            "class or a function that makes it, and open files and libraries there"
        ) from error
    return content


def _identity(codec: object) -> str:
    """Hashes of the file that defines a codec, and of its content, e.g. weights and arguments."""
    source = _source_digest(codec)
    if source is None:  # a notebook, or a text that was executed
        return f"definition {definition.digest(codec)}"
    try:
        content = hashlib.sha256(pickle.dumps(codec)).hexdigest()[:16]
    except Exception:  # e.g. a function within a function
        content = definition.digest(codec)
    return f"source {source}, content {content}"


def _source_digest(codec: object) -> str | None:
    """Hash of the file that defines a codec; None if there is no such file."""
    while isinstance(codec, functools.partial):
        codec = codec.func
    named = codec if isinstance(codec, type) or inspect.isroutine(codec) else type(codec)
    try:
        return hashlib.sha256(Path(inspect.getsourcefile(named) or "").read_bytes()).hexdigest()[:16]
    except (OSError, TypeError):
        return None
