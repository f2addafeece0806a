"""External metrics on their way to worker processes, which have not run the user's code that registered them."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterable

import cloudpickle

from earmark.codec.errors import UserError
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Metric


def pack(names: Iterable[str]) -> bytes:
    """Serialise the external metrics among `names`; b"" if there are none.

    A function defined in a notebook or script is sent by value, one of a module by name.

    Raises:
        UserError: there is no such metric, or its function cannot be sent.
    """
    metrics = [registry.find(name) for name in names]
    external = [metric for metric in metrics if metric.external and metric.available() is None]
    for metric in external:
        _require_sendable(metric)
    packed: bytes = cloudpickle.dumps(external) if external else b""
    return packed


@functools.lru_cache(maxsize=16)
def unpack(packed: bytes) -> dict[str, Metric]:
    """The metrics that `pack` serialised, by name.

    Raises:
        UserError: the function of one cannot be imported here.
    """
    if not packed:
        return {}
    try:
        metrics: list[Metric] = pickle.loads(packed)
    except Exception as error:  # a module of the user's may raise anything when it is imported
        raise UserError(
            f"--metrics: a worker process cannot import a metric ({type(error).__name__}: {error}); install its "
            "package on every machine"
        ) from error
    return {metric.name: metric for metric in metrics}


def _require_sendable(metric: Metric) -> None:
    try:
        cloudpickle.dumps(metric.function)
    except Exception as error:  # whatever a user's object may raise
        raise UserError(
            f"--metrics {metric.name}: its function cannot be sent to worker processes ({error}); define it at the top "
            "level of a module"
        ) from error
