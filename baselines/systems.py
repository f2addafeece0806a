"""System strings and the registry of codecs.

Grammar: ``codec[@rate][:option[=value]]...``, for example ``opus@12``, ``anchor@3.5k``, ``encodec_24khz@3:lm``.
Third-party codecs join by the entry-point group ``earmark.codecs``, each entry a subclass of `Family`, or as a command
(baselines/commands.py).
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterable
from importlib.metadata import entry_points

from earmark.baselines import commands
from earmark.baselines.interface import Codec, Family, System
from earmark.codec.errors import UserError
from earmark.codec.text import split_list

BUILT_IN = {
    "reference": "earmark.baselines.anchors:Reference",
    "anchor": "earmark.baselines.anchors:Anchor",
    "opus": "earmark.baselines.opus:Opus",
    "mp3": "earmark.baselines.mp3:Mp3",
    "aac": "earmark.baselines.aac:Aac",
    "amr_wb": "earmark.baselines.amr_wb:AmrWb",
    "evs": "earmark.baselines.evs:Evs",
    "lyra": "earmark.baselines.lyra:Lyra",
    "codec2": "earmark.baselines.codec2:Codec2",
    "encodec_24khz": "earmark.baselines.encodec:Encodec",
    "encodec_48khz": "earmark.baselines.encodec:Encodec48",
    "soundstream": "earmark.baselines.encodec:SoundStream",
    "dac_16khz": "earmark.baselines.pretrained:dac_16khz",
    "dac_24khz": "earmark.baselines.pretrained:dac_24khz",
    "dac_44khz": "earmark.baselines.pretrained:dac_44khz",
    "snac_24khz": "earmark.baselines.pretrained:snac_24khz",
    "snac_32khz": "earmark.baselines.pretrained:snac_32khz",
    "snac_44khz": "earmark.baselines.pretrained:snac_44khz",
    "mimi": "earmark.baselines.pretrained:mimi",
    "hilcodec": "earmark.baselines.hilcodec:Hil",
    "encodec_24khz_hf": "earmark.baselines.pretrained:encodec_24khz_hf",
}

_SHAPE = re.compile(r"(?P<family>[A-Za-z]\w*)(?:@(?P<rate>[\w.]+))?(?P<options>(?::[^:,]+)*)")


@functools.cache
def families() -> dict[str, Family]:
    """Every codec by name: ours, the user's commands, then installed entry points; none replaces an earlier one."""
    found: dict[str, Family] = {}
    for name, target in BUILT_IN.items():
        module, attribute = target.split(":")
        found[name] = getattr(importlib.import_module(module), attribute)()
    for name, command in commands.defined().items():
        found.setdefault(name, command)
    for entry in entry_points(group="earmark.codecs"):
        if entry.name not in found:
            try:
                found[entry.name] = entry.load()()
            except Exception as error:  # another's code may raise anything, and the other codecs must stand
                found[entry.name] = Broken(entry.name, entry.value, error)
    return found


class Broken(Family):
    """A third party's codec that does not load: listed with the reason, and refused when it is asked for."""

    rates = "-"
    sample_rates = "-"
    licence = "-"

    def __init__(self, name: str, target: str, error: Exception) -> None:
        self.name = self.title = self.example = name
        first_line = (str(error).splitlines() or [""])[0]
        self.reason = (
            f"{name}: its entry point {target} does not load ({type(error).__name__}: {first_line}); "
            "install what it lacks, or uninstall its package"
        )

    def unavailable(self, system: System | None = None) -> str | None:
        return self.reason

    def version(self, system: System | None = None) -> str:
        return ""

    def check(self, system: System) -> None:
        raise UserError(self.reason)

    def kbps(self, system: System) -> float | None:
        return None

    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        raise UserError(self.reason)


def parse(text: str) -> System:
    """Read one system string and check it against its codec.

    Two strings that ask for the same, as opus@12 and opus@12.0, become equal systems.

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
    family = families()[name]
    rate = None if match["rate"] is None else _without_needless_zeros(match["rate"])
    options = _options(text, family, match["options"].split(":")[1:])
    canonical = name if rate is None else f"{name}@{rate}"
    for option, value in options.items():
        canonical += f":{option}={value}" if value else f":{option}"
    system = System(canonical, name, rate, options)
    family.check(system)
    return system


def _without_needless_zeros(rate: str) -> str:
    """012 and 12.0 -> 12, 3.50k -> 3.5k; what is no number is left to the codec's check."""
    match = re.fullmatch(r"0*(\d+?)(?:\.(\d*?)0*)?(k?)", rate, re.ASCII)
    if match is None:
        return rate
    whole, fraction, unit = match.groups()
    return f"{whole}.{fraction}{unit}" if fraction else whole + unit


def _options(text: str, family: Family, given: list[str]) -> dict[str, str]:
    """`key=value` and `flag` strings as a mapping in the codec's own order, without those that say the default."""
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


def option(system: System, key: str) -> str:
    """What the system asks of an option that has a default, or that default."""
    return system.options.get(key, families()[system.family].options[key][0])


def parse_list(text: str) -> list[System]:
    """Read a comma-separated list; a system named twice counts once."""
    systems = [parse(part) for part in split_list(text)]
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
    if not re.fullmatch(r"\d+(\.\d+)?", system.rate or "", re.ASCII):  # float() would take 6_0, nan and inf too
        raise UserError(f"{system.text}: {family.title} needs a bit rate in kbps; try {family.example}")
    return float(system.rate or "")


def require_rate(system: System, steps: Iterable[float], remedy: str = "") -> None:
    """Check that the number behind "@" is one of a codec's bit rates.

    Args:
        steps: in kbps.
        remedy: what else would help, added to the message.

    Raises:
        UserError: see `rate_in_kbps`; or it is another, and the nearest is named.
    """
    kbps, steps = rate_in_kbps(system), tuple(steps)
    if kbps not in steps:
        family = families()[system.family]
        nearest = min(steps, key=lambda step: abs(step - kbps))
        raise UserError(f"{system.text}: {family.title} has {in_words(steps)}; try {family.name}@{nearest:g}{remedy}")


def in_words(kbps: Iterable[float]) -> str:
    """Bit rates for people: "3, 6, 12 kbps"."""
    return f"{', '.join(f'{step:g}' for step in kbps)} kbps"
