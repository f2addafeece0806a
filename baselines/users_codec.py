"""The common part of codecs that a user defines, by --codec or `register_codec`."""

from __future__ import annotations

import re

from earmark.baselines.interface import Family, System
from earmark.codec.errors import UserError


class UsersCodec(Family):
    """A codec at its own bit rate, or at any number of kbps that the system string names.

    Args:
        takes_rate: whether system strings must name a bit rate.
        parameter: what tells the codec its bit rate, for messages.
    """

    sample_rates = "any"
    licence = "yours"

    def __init__(self, name: str, *, takes_rate: bool, parameter: str) -> None:
        self.name = self.title = name
        self.takes_rate, self.parameter = takes_rate, parameter
        self.example = f"{name}@12" if takes_rate else name
        self.rates = "any" if takes_rate else "its own"

    def unavailable(self, system: System | None = None) -> str | None:
        return None

    def check(self, system: System) -> None:
        if self.takes_rate and system.rate is None:
            raise UserError(f"{system.text}: it has {self.parameter}, so name a bit rate; write {self.example}")
        if not self.takes_rate and system.rate is not None:
            raise UserError(f"{system.text}: without {self.parameter} it takes no bit rate; write {self.example}")
        if system.rate is not None and not re.fullmatch(r"\d+(\.\d+)?", system.rate, re.ASCII):
            raise UserError(f"{system.text}: its bit rate is a number of kbps; write {self.example}")

    def kbps(self, system: System) -> float | None:
        return float(system.rate) if system.rate else None
