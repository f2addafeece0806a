"""The codecs that system strings can name: Earmark's, those registered by code, and those of installed packages.

A package adds a codec by the entry-point group ``earmark.codecs``; each entry is a subclass of `Family`.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from importlib.metadata import entry_points

from earmark.baselines.interface import Codec, Family, System
from earmark.baselines.own_codec import OwnCodec
from earmark.codec.errors import UserError

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

_registered: dict[str, Family] = {}


def families() -> dict[str, Family]:
    """Every codec by name: Earmark's, those of `register_codec`, then those of installed packages."""
    ours = {name: family for name, family in installed().items() if name in BUILT_IN}
    return ours | _registered | {name: family for name, family in installed().items() if name not in _registered}


@functools.cache
def installed() -> dict[str, Family]:
    """The codecs that every process on this machine finds by name: Earmark's and those of installed packages."""
    codecs: dict[str, Family] = {}
    for name, target in BUILT_IN.items():
        module, attribute = target.split(":")
        codecs[name] = getattr(importlib.import_module(module), attribute)()
    for entry_point in entry_points(group="earmark.codecs"):
        if entry_point.name not in codecs:
            try:
                codecs[entry_point.name] = entry_point.load()()
            except Exception as error:  # code of others may raise anything, and must not cost the other codecs
                reason = _why_it_does_not_load(entry_point.name, entry_point.value, error)
                codecs[entry_point.name] = Broken(entry_point.name, reason)
    return codecs


@functools.cache
def distribution_of(name: str) -> str | None:
    """Name and version of the installed package that a codec comes from; None for codecs of Earmark."""
    for entry_point in entry_points(group="earmark.codecs"):
        if entry_point.name == name and (dist := getattr(entry_point, "dist", None)) is not None:
            return f"{dist.name} {dist.version}"
    return None


def _why_it_does_not_load(name: str, target: str, error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return (
        f"{name}: its entry point {target} does not load ({type(error).__name__}: {first_line}); "
        "install what it needs, or uninstall its package"
    )


class Broken(Family):
    """A codec that cannot be loaded: `earmark systems` lists it with the reason, and every use of it raises that."""

    rates = "-"
    sample_rates = "-"
    licence = "-"

    def __init__(self, name: str, reason: str) -> None:
        self.name = self.title = self.example = name
        self.reason = reason

    def unavailable(self, system: System | None = None) -> str | None:
        return self.reason

    def version(self, system: System | None = None) -> str:
        return "none"

    def check(self, system: System) -> None:
        raise UserError(self.reason)

    def kbps(self, system: System) -> float | None:
        return None

    def open(self, system: System, sample_rate: int, channels: int) -> Codec:
        raise UserError(self.reason)


def family_of(system: System) -> Family:
    """The codec of a parsed system string."""
    if system.own is not None:
        return system.own
    family = installed().get(system.family)
    if family is None:  # in a worker on another machine
        reason = f"{system.text}: no package on this machine has the codec {system.family}; install it on every machine"
        return Broken(system.family, reason)
    return family


def register_codec(
    name: str, codec: Family | type[Family] | Codec | Callable[..., Codec], *, replace: bool = False
) -> None:
    """Give a codec of your own a name that system strings of this process can use, like opus@12.

    The simplest codec is a class with `sample_rate`, `channels`, `encode` and `decode`::

        class Halved:
            sample_rate, channels, kbps, version = 16000, 1, 128.0, "1"

            def encode(self, audio):                      # float32 [channels, time]
                samples = (audio * 32767).astype("<i2")[:, ::2]
                return Encoded((samples.tobytes(),), audio.shape[-1])

            def decode(self, encoded):                    # must return [channels, encoded.samples]
                samples = np.frombuffer(encoded.packets[0], "<i2") / 32767
                return samples.repeat(2)[None, : encoded.samples].astype(np.float32)

        register_codec("halved", Halved)

    Worker processes receive the codec with each task. Definitions in a notebook or script are sent by value, those in a
    module by name, so that workers must be able to import the module. For a codec with a large model register the
    class, which every process calls once, instead of an object, which is sent with all of its content.

    Results are kept under the codec's `version`. Change it if the same source code gives other results, for example
    with other weights.

    Args:
        name: letters, digits and underscores, beginning with a letter.
        codec: one of these:

            - a class or function that returns a `Codec`. If it has a parameter `kbps`, system strings must name a bit
              rate: halved@12 calls it with kbps=12.0.
            - a `Codec` object.
            - a `Family` or a subclass of it without parameters, for codecs with options, several sample rates or
              checks of their own.
        replace: replace a codec of this name that was registered before; default: raise.

    Raises:
        UserError: the name is invalid or taken, the object is not a codec, or it cannot be sent to other processes.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise UserError(f"register_codec {name!r}: use letters, digits and underscores, beginning with a letter")
    if name in installed():
        raise UserError(f"register_codec {name}: a codec has this name already; choose another")
    if name in _registered and not replace:
        raise UserError(
            f"register_codec {name}: registered already; choose another name, or pass replace=True to replace it"
        )
    _registered[name] = as_family(name, codec)


def as_family(name: str, codec: Family | type[Family] | Codec | Callable[..., Codec]) -> Family:
    """Return a codec, given in any way that `register_codec` accepts, as a `Family`.

    Raises:
        UserError: it is not a codec.
    """
    if isinstance(codec, type) and issubclass(codec, Family):
        try:
            return codec()
        except TypeError as error:
            raise UserError(f"{name}: {codec.__name__} cannot be made without arguments ({error})") from error
    return codec if isinstance(codec, Family) else OwnCodec(name, codec)  # type: ignore[arg-type]
