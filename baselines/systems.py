"""System strings and the registry of codecs.

Grammar: ``codec[@rate][:option[=value]]...``, for example ``opus@12``, ``anchor@3.5k``, ``encodec_24khz@3:lm``.
Third-party codecs join by the entry-point group ``earmark.codecs``, each entry a subclass of `Family`.
"""

from __future__ import annotations

import functools
import importlib
import re
from importlib.metadata import entry_points

from baselines.interface import Family, System
from codec.errors import UserError

_BUILT_IN = {
    "reference": "baselines.anchors:Reference",
    "anchor": "baselines.anchors:Anchor",
    "opus": "baselines.opus:Opus",
    "mp3": "baselines.mp3:Mp3",
    "encodec_24khz": "baselines.encodec:Encodec",
    "encodec_48khz": "baselines.encodec:Encodec48",
}

_SHAPE = re.compile(r"(?P<family>[A-Za-z]\w*)(?:@(?P<rate>[\w.]+))?(?P<options>(?::[^:,]+)*)")


@functools.cache
def families() -> dict[str, Family]:
    """Every codec by name: ours, then those of installed entry points (which cannot replace ours)."""
    found: dict[str, Family] = {}
    for name, target in _BUILT_IN.items():
        module, attribute = target.split(":")
        found[name] = getattr(importlib.import_module(module), attribute)()
    for entry in entry_points(group="earmark.codecs"):
        try:
            found.setdefault(entry.name, entry.load()())
        except Exception as error:
            raise UserError(f"codec {entry.name!r} of package {entry.value!r} does not load: {error}") from error
    return found


def parse(text: str) -> System:
    """Read one system string and check it against its codec.

    Raises:
        UserError: not a system string, an unknown codec, or a rate or option that the codec does not have.
    """
    text = text.strip()
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} is not a system; write codec@rate, e.g. opus@12 (see `earmark systems`)")
    name = match["family"]
    if name not in families():
        raise UserError(f"{text}: there is no codec {name!r}; there are {', '.join(families())}")
    options = dict(option.partition("=")[::2] for option in match["options"].split(":")[1:])
    system = System(text, name, match["rate"], options)
    families()[name].check(system)
    return system


def parse_list(text: str) -> list[System]:
    """Read a comma-separated list; a system named twice counts once."""
    systems = [parse(part) for part in text.split(",") if part.strip()]
    if not systems:
        raise UserError("--systems: name at least one system, e.g. opus@12,mp3@64")
    return list({system.text: system for system in systems}.values())


def family_of(system: System) -> Family:
    """The codec that a parsed system string names."""
    return families()[system.family]


def rate_in_kbps(system: System) -> float:
    """The number behind "@" as kbps.

    Raises:
        UserError: there is none, or it is not a number.
    """
    family = families()[system.family]
    try:
        rate = float(system.rate or "")
    except ValueError:
        raise UserError(f"{system.text}: {family.title} needs a bit rate in kbps; try {family.example}") from None
    return rate


def refuse_options(system: System, allowed: tuple[str, ...] = ()) -> None:
    """Raise UserError for an option the codec does not know."""
    for option in system.options:
        if option not in allowed:
            known = f"it has {', '.join(allowed)}" if allowed else "it has none"
            raise UserError(f"{system.text}: {system.family} has no option {option!r}; {known}")
