"""What every codec under comparison looks like: Codec, Encoded, and the Family that opens codecs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from earmark.codec.audio import Audio


@dataclass(frozen=True)
class Encoded:
    """A coded signal: its payload, and what decode() needs beside it.

    Args:
        packets: payload as the codec's own packets; container bytes are not part of it.
        samples: length of the source in samples per channel, which decode() gives back.
        bits: length of the payload, where the codec's frames are not whole bytes.
    """

    packets: tuple[bytes, ...]
    samples: int
    bits: int | None = None

    @property
    def payload_bits(self) -> int:
        return 8 * sum(map(len, self.packets)) if self.bits is None else self.bits


class Codec(Protocol):
    """One codec at one setting, for one sample rate and channel count.

    `encode` takes and `decode` returns float32 [channels, time] at `sample_rate`; the decoded signal has the length of
    the source and the codec's documented delay is already removed. Both are stateless: each call starts afresh.
    A codec that can work while its input goes on may tell its `latency` in seconds: from a sample that goes in to the
    same one coming out, without the time that computing takes.
    """

    name: str
    sample_rate: int
    channels: int

    def encode(self, audio: Audio) -> Encoded: ...

    def decode(self, encoded: Encoded) -> Audio: ...


@dataclass(frozen=True)
class System:
    """A parsed system string, `codec@rate:key=value:flag` (baselines/systems.py has the grammar).

    Args:
        text: canonical spelling; the name in tables, plots and file names.
        family: the codec, e.g. "opus".
        rate: what stands behind "@", a number without needless zeros, or None.
        options: key -> value, of those that were given and are not the default; a flag has the value "".
    """

    text: str
    family: str
    rate: str | None
    options: Mapping[str, str]


class Family(ABC):
    """A codec at all its settings: knows which system strings are valid, whether it can run here, and opens codecs."""

    name: str
    title: str
    rates: str  # for people: "6 to 510 kbps"
    example: str  # a system string that works
    sample_rates: str  # for people: "8, 12, 16, 24, 48 kHz"
    licence: str
    latency: str = "-"  # for people: how far a decoded sample lies behind the newest one its coding needed
    options: Mapping[str, tuple[str, ...]] = {}  # option -> its values, the default first; () takes any value
    coded: bool = True  # False for conditions without a bitstream, whose bit rate means nothing

    @abstractmethod
    def unavailable(self, system: System | None = None) -> str | None:
        """Why it, or this one of its systems, cannot run here and how to mend that, in one line; None when it can."""

    @abstractmethod
    def version(self, system: System | None = None) -> str:
        """Version of the library, programs or weights in use; it is recorded with every result and part of its key."""

    @abstractmethod
    def check(self, system: System) -> None:
        """Raise UserError if the rate, or a value of an option that takes any, is not this codec's."""

    @abstractmethod
    def kbps(self, system: System) -> float | None:
        """Requested bit rate in kbps, None where the system has none (reference and anchors)."""

    @abstractmethod
    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        """The codec in the native format nearest to a source of `sample_rate` Hz and `channels` channels."""
