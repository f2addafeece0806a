"""The interface of every codec: `Codec` and `Encoded`, and `Family`, which opens a codec for a `System`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from earmark.codec.audio import Audio


@dataclass(frozen=True)
class Encoded:
    """A coded signal: its payload, and what else decode() needs.

    Args:
        packets: payload as the codec's own packets, without container bytes.
        samples: length of the source in samples per channel.
        bits: length of the payload if the codec's frames are not whole bytes; default: 8 bits per byte of `packets`.
        seconds: coded duration, packets times packet length, which may exceed the source by padding; default: the
            duration of the source.
        file_bytes: whether the payload is a file of unknown format, container included.
    """

    packets: tuple[bytes, ...]
    samples: int
    bits: int | None = None
    seconds: float | None = None
    file_bytes: bool = False

    @property
    def payload_bits(self) -> int:
        return 8 * sum(map(len, self.packets)) if self.bits is None else self.bits


class Codec(Protocol):
    """One codec at one setting, for one sample rate and channel count.

    `encode` takes and `decode` returns float32 [channels, time] at `sample_rate`. Both are stateless: each call starts
    afresh. The decoded signal of Earmark's codecs has the length of the source, and their documented delay is already
    removed. Other codecs may return what their decoder gives, with delay and padding: the comparison finds the delay.
    A codec that can work on a stream may have an attribute `latency` in seconds: the time from a sample that goes in
    to the same sample coming out, without the time for computing.
    """

    name: str
    sample_rate: int
    channels: int

    def encode(self, audio: Audio) -> Encoded: ...

    def decode(self, encoded: Encoded) -> Audio: ...


@dataclass(frozen=True)
class System:
    """A parsed system string, `codec@rate:key=value:flag` (grammar: baselines/systems.py).

    Systems compare and hash by `text`. They are pickled with the tasks of worker processes, so that a codec which
    exists in this process alone is known there, too.

    Args:
        text: canonical spelling; the name in tables, plots and file names.
        family: name of the codec, e.g. "opus".
        rate: text behind "@", a number without needless zeros, or None.
        options: key -> value of options that are given and differ from the default; a flag has the value "".
        own: the codec itself if it was defined in this process, by --codec or `register_codec`. None for codecs of
            Earmark and of installed packages, which every process finds by `family`.
        timeout: seconds after which an external program of the codec is ended; None for the default (programs.py).
        identity: what the user says identifies the codec, in place of `Family.version`; None if the user does not.
    """

    text: str
    family: str = field(compare=False)
    rate: str | None = field(compare=False)
    options: Mapping[str, str] = field(compare=False)
    own: Family | None = field(default=None, compare=False, repr=False)
    timeout: float | None = field(default=None, compare=False)
    identity: str | None = field(default=None, compare=False)


class Family(ABC):
    """A codec at all its settings: checks system strings, tells whether it can run here, and opens codecs."""

    name: str
    title: str
    rates: str  # for people: "6 to 510 kbps"
    example: str  # a valid system string
    sample_rates: str  # for people: "8, 12, 16, 24, 48 kHz"
    licence: str
    latency: str = "-"  # for people: from a decoded sample to the newest input sample that its coding needed
    options: Mapping[str, tuple[str, ...]] = {}  # option -> its values, the default first; () accepts any value
    coded: bool = True  # False for conditions without a bitstream, which have no bit rate
    imports: tuple[str, ...] = ()  # modules that take long to load; a pool of workers loads them once

    @abstractmethod
    def unavailable(self, system: System | None = None) -> str | None:
        """Return one line on why the codec, or this system of it, cannot run here and on the remedy; None if it can."""

    @abstractmethod
    def version(self, system: System | None = None) -> str:
        """Version of the library, programs or weights in use; recorded with every result and part of its key."""

    def parts(self, system: System) -> Mapping[str, str]:
        """Parts of `version`, e.g. file -> hash of its content; {} if the version has no parts."""
        return {}

    def folders(self, system: System) -> Mapping[str, str]:
        """Folders whose content identifies the codec, too -> hash. Programs may write there while they run."""
        return {}

    @abstractmethod
    def check(self, system: System) -> None:
        """Raise UserError if the codec does not have this rate, or this value of an option that accepts any."""

    @abstractmethod
    def kbps(self, system: System) -> float | None:
        """Nominal bit rate in kbps; None for systems without one (reference and anchors)."""

    @abstractmethod
    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        """Open the codec in the native format nearest to a source of `sample_rate` Hz and `channels` channels."""
