"""A system whose audio was decoded elsewhere: it has a name and perhaps a bit rate, and codes nothing."""

from __future__ import annotations

import re

from earmark.baselines.interface import Codec, Family, System
from earmark.codec.errors import UserError

NAME = re.compile(r"(?P<family>[\w.+-]+)(?:@(?P<rate>\d+(?:\.\d+)?))?(?P<tag>(?::[\w.+-]+)*)")
RESERVED = ("reference", "anchor", "all")


class DecodedAudio(Family):
    """Audio that another program decoded. The bit rate is stated behind "@" in the system's name, or unknown."""

    rates = "stated in its name"
    sample_rates = "any"
    licence = "-"

    def __init__(self, name: str) -> None:
        self.name = self.title = self.example = name

    def unavailable(self, system: System | None = None) -> str | None:
        return None

    def version(self, system: System | None = None) -> str:
        """A constant: the content of each decoded file is part of its result's key."""
        return "decoded elsewhere"

    def check(self, system: System) -> None:
        """Accept every rate, as the name of the system only states it."""

    def kbps(self, system: System) -> float | None:
        return float(system.rate) if system.rate else None

    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        raise UserError(f"{system.text}: is decoded audio, and cannot code a recording")


def decoded_system(text: str) -> System:
    """Read the name of a system whose decoded audio is given: ``A``, ``A@6`` for 6 kbps, ``A@6:variant``.

    Raises:
        UserError: the name has other characters, or means the recording itself or an anchor.
    """
    match = NAME.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} is no name of a system; use letters, digits and _ . + -, and @KBPS for a bit rate")
    if match["family"].lower() in RESERVED:
        raise UserError(f"{text}: means the recordings themselves here; give the decoded audio another name")
    return System(text, match["family"], match["rate"], {}, own=DecodedAudio(match["family"]))
