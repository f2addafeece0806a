"""Metrics that a run got from its user, as run.json describes them: later commands know their unit and direction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from earmark.eval.metrics.interface import UNAVAILABLE, Better, Channels, Metric, Score, failed


def _is_text(value: object) -> bool:
    return isinstance(value, str)


# Fields of a description, and whether a value that run.json has for one can be used.
FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("title", "unit", "value_range", "source", "licence"), _is_text),
    "better": lambda value: value in get_args(Better),
    "channels": lambda value: value in get_args(Channels),
    "sample_rate": lambda value: value is None or type(value) is int,
    "needs_reference": lambda value: isinstance(value, bool),
}
DEFAULTS: dict[str, Any] = {
    "unit": "", "better": "higher", "value_range": "", "sample_rate": None, "channels": "mono", "source": "",
    "licence": "",
}  # fmt: skip
REASON = f"{UNAVAILABLE} the run got it by --metric or register_metric; define it again"
_REMEMBERED: dict[str, Metric] = {}


def describe(metrics: Iterable[Metric]) -> dict[str, dict[str, Any]]:
    """Describe the external metrics of a run, for run.json."""
    return {metric.name: {field: getattr(metric, field) for field in FIELDS} for metric in metrics if metric.external}


def remember(descriptions: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]) -> None:
    """Make the metrics that `describe` described known in this process; they can be shown, but not computed.

    Args:
        versions: metric -> version with which the run computed it.
    """
    for name, about in descriptions.items():
        known = {field: about[field] for field, fits in FIELDS.items() if field in about and fits(about[field])}
        _REMEMBERED[name] = Metric(
            **DEFAULTS | {"title": name} | known, name=name, function=_refuse,
            version=functools.partial(str, versions.get(name, "")), available=functools.partial(str, REASON),
            external=True,
        )  # fmt: skip


def remembered() -> Mapping[str, Metric]:
    """The metrics of the runs that this process has read, by name."""
    return _REMEMBERED


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """One line for each metric whose version differs from that of the run so far.

    Args:
        before, now: metric -> version.
    """
    for name, version in now.items():
        if before.get(name, version) != version:
            yield f"{name}: its program, pattern or version changed since the last run; scored again"


def _refuse(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score:
    return failed(REASON)
