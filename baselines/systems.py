"""System strings: ``codec[@rate][:option[=value]]...``, e.g. ``opus@12``, ``anchor@3.5k``, ``encodec_24khz@3:lm``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from earmark.baselines.checkpoint_codec import CheckpointCodec
from earmark.baselines.function_codec import FunctionFamily
from earmark.baselines.interface import Codec, Family, System
from earmark.baselines.registry import as_family, families, installed
from earmark.baselines.registry import family_of as family_of
from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean, same
from earmark.codec.text import split_list

_SHAPE = re.compile(r"(?P<family>[A-Za-z][\w-]*)(?:@(?P<rate>[\w.]+))?(?P<options>(?::[^:,]+)*)")
_COLON_RATE = re.compile(r"([A-Za-z][\w-]*):(\d+(?:\.\d+)?k?)(?=:|$)", re.ASCII)  # opus:6, as other tools write it
_UNIT = re.compile(r"(@\d+(?:\.\d+)?)\s*kbps\b", re.ASCII | re.IGNORECASE)


def parse(text: str, own: Mapping[str, Family] | None = None) -> System:
    """Read one system string and check it against its codec.

    Different spellings of one setting, as opus@12, opus@12.0, Opus:12 and opus@12kbps, become equal systems.

    Args:
        own: further codecs by name, e.g. those of --codec.

    Raises:
        UserError: not a system string, an unknown codec, or a rate or option that the codec does not have.
    """
    text = text.strip()
    match = _SHAPE.fullmatch(_UNIT.sub(r"\1", _COLON_RATE.sub(r"\1@\2", text)))
    if match is None and len(parts := [part.strip() for part in re.split(r"[;|&]", text) if part.strip()]) > 1:
        raise UserError(f"{text!r} is not a system; separate systems by commas: {','.join(parts)}")
    if match is None:
        raise UserError(f"{text!r} is not a system; write codec@rate, e.g. opus@12 (see `earmark systems`)")
    known = {**families(), **(own or {})}
    name = same(match["family"], known)
    if name is None and ":checkpoint=" in match["options"]:
        name = match["family"]
        known[name] = CheckpointCodec(name)
    if name is None:
        hint = did_you_mean(match["family"], known) or "; `earmark systems` lists the codecs"
        raise UserError(f"{text}: there is no codec {match['family']!r}{hint}")
    family = known[name]
    rate = None if match["rate"] is None else _without_needless_zeros(match["rate"])
    options = _options(text, family, match["options"].split(":")[1:])
    canonical = name if rate is None else f"{name}@{rate}"
    for option, value in options.items():
        canonical += f":{option}={value}" if value else f":{option}"
    system = System(canonical, name, rate, options, own=None if installed().get(name) is family else family)
    family.check(system)
    return system


def as_system(system: str | System | Family | Codec | Callable[..., Codec]) -> System:
    """Return the system that a Python caller names by a string, a `System`, or a codec as `register_codec` takes it.

    A codec without an attribute `name` has the name of its class.

    Raises:
        UserError: see `parse` and `register_codec`.
    """
    if isinstance(system, str | System):
        return parse(system) if isinstance(system, str) else system
    if isinstance(system, FunctionFamily):
        return system.system
    name = getattr(system, "name", None) or getattr(system, "__name__", type(system).__name__)
    return parse(str(name), {str(name): as_family(str(name), system)})


def _without_needless_zeros(rate: str) -> str:
    """012 and 12.0 -> 12, 3.50k -> 3.5k; returns other text unchanged, for the codec to check."""
    match = re.fullmatch(r"0*(\d+?)(?:\.(\d*?)0*)?(k?)", rate, re.ASCII)
    if match is None:
        return rate
    whole, fraction, unit = match.groups()
    return f"{whole}.{fraction}{unit}" if fraction else whole + unit


def _options(text: str, family: Family, given: list[str]) -> dict[str, str]:
    """Return `key=value` and `flag` strings as a mapping in the codec's own order, without default values."""
    values: dict[str, str] = {}
    for option in given:
        key, _, value = option.partition("=")
        if key not in family.options:
            known = f"it has {', '.join(family.options)}" if family.options else "it has none"
            raise UserError(f"{text}: {family.name} has no option {key!r}; {known}")
        if key in values:
            raise UserError(f"{text}: {key} is given twice; keep one")
        if family.options[key] and value not in family.options[key]:
            raise UserError(f"{text}: {key} is one of {', '.join(family.options[key])}, not {value!r}")
        values[key] = value
    return {
        key: values[key]
        for key, allowed in family.options.items()
        if key in values and not (allowed and values[key] == allowed[0])
    }


def parse_list(text: str, own: Mapping[str, Family] | None = None) -> list[System]:
    """Read a comma-separated list of system strings; equal systems count once.

    Args:
        own: see `parse`.
    """
    systems = [parse(part, own) for part in split_list(text)]
    if not systems:
        raise UserError("--systems: name at least one system, e.g. opus@12,mp3@64")
    return list(dict.fromkeys(systems))
