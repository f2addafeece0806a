"""Metrics that a user or another package defines: checked, described, and identified by their code."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
from collections.abc import Callable
from typing import Any, get_args

from earmark.baselines import definition
from earmark.codec.errors import UserError
from earmark.eval.metrics.interface import Better, Channels, Function, Metric


def described(
    label: str,
    name: str,
    function: Function,
    *,
    unit: str = "",
    better: Better = "higher",
    sample_rate: int | None = None,
    channels: Channels = "mono",
    title: str | None = None,
    value_range: str = "",
    version: str | None = None,
    source: str = "",
    licence: str = "",
    needs_reference: bool = True,
) -> Metric:
    """Make a metric of a function; see `earmark.register_metric` for the arguments.

    Args:
        label: how messages begin, e.g. "register_metric:".

    Raises:
        UserError: an argument is not valid.
    """
    if not callable(function):
        raise UserError(f"{label} {name} needs a function of two arrays, not {type(function).__name__}")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise UserError(f"{label} {name!r} is not a name; use letters, digits and _, e.g. level_gap")
    if better not in get_args(Better):
        raise UserError(f"{label} better={better!r} of {name} is not one of higher, lower")
    if channels not in get_args(Channels):
        raise UserError(f"{label} channels={channels!r} of {name} is not one of mono, all")
    if sample_rate is not None and (not isinstance(sample_rate, int) or sample_rate <= 0):
        raise UserError(f"{label} sample_rate={sample_rate!r} of {name} is not a rate in Hz")
    return Metric(
        name, title or name, unit, better, value_range, function, sample_rate, channels,
        functools.partial(str, version or _source_hash(function)), _always_available, source, licence, external=True,
        takes_rate="sample_rate" in _parameters(function), needs_reference=needs_reference,
    )  # fmt: skip


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # of a C extension
        return ()


def _source_hash(function: Function) -> str:
    """Hash of a function's source code; in a notebook or script also of what it uses there."""
    named = function if hasattr(function, "__qualname__") else type(function)
    if named.__module__ == "__main__":
        return definition.digest(function)
    try:
        source = inspect.getsource(named)
    except (OSError, TypeError):  # built in, compiled, or executed from a text
        return definition.digest(function)
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _always_available() -> None:
    """Stands for `Metric.available` of an external metric; a lambda could not be sent to worker processes."""
