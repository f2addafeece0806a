"""Plug-ins: losses, discriminators, activations, blocks, quantizers and validation metrics from a user's own files.

A plug-in is a Python file or module that registers its parts by decorator, under the names that recipes use::

    from earmark.codec import plugins

    @plugins.activation("square")           # made with the number of channels; [B, C, T] -> [B, C, T]
    class Square(nn.Module): ...

    @plugins.loss("energy")                 # reference, decoded -> scalar
    def energy(reference, decoded): ...

Recipes name the files in `[plugins] modules`; an installed package names its module by the entry-point group
``earmark.plugins``. To load a model that needs a plug-in, import it, call `load`, or name its file in the environment
variable EARMARK_PLUGINS. A checkpoint only names its plug-in: no code runs because a file asks for it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean

GROUP = "earmark.plugins"
VARIABLE = "EARMARK_PLUGINS"
Kind = Literal["activation", "block", "loss", "discriminator", "quantizer", "metric"]
Part = TypeVar("Part")

_parts: dict[tuple[str, str], tuple[Any, str]] = {}  # (kind, name) -> part, plug-in that it is from
_loading: list[str] = []  # plug-ins that are being loaded


def activation(name: str) -> Callable[[Part], Part]:
    """Register an activation for model.seanet.activation: channels -> module, [B, C, T] -> [B, C, T], step by step."""
    return _register("activation", name)


def block(name: str) -> Callable[[Part], Part]:
    """Register a block for model.seanet.encoder_block or decoder_block, in place of the residual unit.

    It is made with (channels, dilation, config), `config` being the SEANetConfig, and maps [B, C, T] -> [B, C, T]. In a
    causal model it also has `new_state` and `step` (see codec.encodec.layers.Stepping), by which signals are streamed.
    """
    return _register("block", name)


def loss(name: str) -> Callable[[Part], Part]:
    """Register a loss for the section `losses`: a function of reference and decoded audio, [B, C, T] -> scalar.

    A class is made with the sample rate, and its objects are such functions.
    """
    return _register("loss", name)


def discriminator(name: str) -> Callable[[Part], Part]:
    """Register a discriminator for discriminators.kinds.

    It is made with (sample_rate, filters), and maps audio [B, C, T] to a list of
    `codec.training.discriminators.network.DiscriminatorOutput`.
    """
    return _register("discriminator", name)


def quantizer(name: str) -> Callable[[Part], Part]:
    """Register a quantizer for quantizer.kind.

    It is made with (dimension, codebooks, codebook_size). Its forward takes the latent, [B, dimension, T], and a number
    of codebooks, and returns a `codec.training.quantizers.quantized.Quantized`. If it has `plain()`, which returns a
    `ResidualVectorQuantizer`, the model is exported and codes files.
    """
    return _register("quantizer", name)


def validation_metric(name: str, better: Literal["higher", "lower"] = "higher") -> Callable[[Part], Part]:
    """Register a metric for validation.metrics: reference and decoded audio, float32 [time], sample rate -> score."""

    def register(function: Part) -> Part:
        function.better = better  # type: ignore[attr-defined]
        return _register("metric", name)(function)

    return register


def load(modules: Iterable[str]) -> None:
    """Load plug-ins: Python files, by paths that end in .py, and modules by name.

    Processes that this one starts load them too. A file is loaded once.

    Raises:
        UserError: there is no such file or module, or it fails.
    """
    for module in modules:
        name = str(Path(module).resolve()) if module.endswith(".py") else module
        known = [each for each in os.environ.get(VARIABLE, "").split(os.pathsep) if each]
        if name not in known:
            os.environ[VARIABLE] = os.pathsep.join([*known, name])
        _load(name)


def known(kind: Kind) -> list[str]:
    """Names of the registered parts of a kind."""
    _load_installed()
    return [name for each, name in _parts if each == kind]


def find(kind: Kind, name: str, built_in: Iterable[str] = (), needed: str = "") -> Any:
    """The registered part of a name.

    Args:
        built_in: other names, for the message.
        needed: plug-ins that the file which names the part says it needs, for the message.

    Raises:
        UserError: no plug-in that is loaded has it.
    """
    names = known(kind)
    if (kind, name) not in _parts:
        whence = f" of the plug-in {needed}" if needed else ""
        there = [*built_in, *names]
        raise UserError(
            f"there is no {kind} {name!r}{whence}; name the plug-in's file in {VARIABLE}, or in [plugins] modules of "
            f"the recipe; known are {', '.join(there)}{did_you_mean(name, there)}"
        )
    return _parts[kind, name][0]


def origin(kind: Kind, name: str) -> str | None:
    """The plug-in that registered a part: its file and the beginning of its SHA-256, or its module; None if none."""
    return _parts[kind, name][1] if (kind, name) in _parts else None


def _register(kind: Kind, name: str) -> Callable[[Part], Part]:
    def register(part: Part) -> Part:
        source = _loading[-1] if _loading else str(getattr(part, "__module__", "__main__"))
        _parts[kind, name] = part, source
        return part

    return register


@functools.cache
def _load(name: str) -> None:
    path = Path(name)
    try:
        if not name.endswith(".py"):
            _loading.append(name)
            importlib.import_module(name)
            return
        _loading.append(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}")
        spec = importlib.util.spec_from_file_location(f"earmark_plugin_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # classes of the file can be pickled
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        raise UserError(f"plug-in {name}: no such file; give the path of a Python file or a module") from error
    except UserError:
        raise
    except Exception as error:  # code of others may raise anything
        raise UserError(f"plug-in {name}: does not load ({type(error).__name__}: {error})") from error
    finally:
        if _loading:
            _loading.pop()


@functools.cache
def _load_entry_points() -> None:
    for entry_point in entry_points(group=GROUP):
        _loading.append(entry_point.name)
        try:
            entry_point.load()
        except Exception as error:
            raise UserError(f"plug-in {entry_point.name}: does not load ({type(error).__name__}: {error})") from error
        finally:
            _loading.pop()


def _load_installed() -> None:
    """Load the plug-ins of installed packages and those of the environment variable."""
    if _loading:
        return  # a plug-in asks while it is being loaded
    _load_entry_points()
    for name in os.environ.get(VARIABLE, "").split(os.pathsep):
        if name:
            _load(name)
