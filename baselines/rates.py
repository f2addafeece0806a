"""Bit rates and options of systems: reading and checking them, for the `check` and `open` of codecs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.codec.errors import UserError


def rate_in_kbps(system: System) -> float:
    """The number behind "@" as kbps.

    Raises:
        UserError: there is none, or it is not a number.
    """
    family = family_of(system)
    if not re.fullmatch(r"\d+(\.\d+)?", system.rate or "", re.ASCII):  # float() would accept 6_0, nan and inf, too
        raise UserError(f"{system.text}: {family.title} needs a bit rate in kbps; try {family.example}")
    return float(system.rate or "")


def require_rate(system: System, steps: Iterable[float], remedy: str = "") -> None:
    """Check that the number behind "@" is one of a codec's bit rates.

    Args:
        steps: bit rates in kbps.
        remedy: another way to mend the mistake, appended to the message.

    Raises:
        UserError: as `rate_in_kbps`; or the codec does not have the rate. The message names the nearest one.
    """
    kbps, steps = rate_in_kbps(system), tuple(steps)
    if kbps not in steps:
        family = family_of(system)
        nearest = min(steps, key=lambda step: abs(step - kbps))
        raise UserError(f"{system.text}: {family.title} has {in_words(steps)}; try {family.name}@{nearest:g}{remedy}")


def in_words(kbps: Iterable[float]) -> str:
    """Bit rates for people: "3, 6, 12 kbps"."""
    return f"{', '.join(f'{step:g}' for step in kbps)} kbps"


def option(system: System, key: str) -> str:
    """Value of an option, or its default."""
    return system.options.get(key, family_of(system).options[key][0])
