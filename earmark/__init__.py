"""Earmark: objective metrics and listening tests for audio codecs.

The names below, and the few others that the API reference (docs/reference/api.md) lists, are public. All others are
internal and may change without notice. A name loads what it needs on first use, so that `import earmark` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.baselines.function_codec import as_codec
    from earmark.baselines.registry import register_codec
    from earmark.codec.encodec.codes import Codes
    from earmark.codec.errors import UserError, WriteError
    from earmark.eval.metrics.interface import Score
    from earmark.eval.metrics.registry import register_metric
    from earmark.eval.scoring import score
    from earmark.models import compress, decompress, load_model
    from earmark.mushra_app.report.loading import load_ratings
    from earmark.runs import Run, compare, load_run

# Public name -> module that defines it, and its name there.
_API = {
    "Codes": ("earmark.codec.encodec.codes", "Codes"),
    "Run": ("earmark.runs", "Run"),
    "Score": ("earmark.eval.metrics.interface", "Score"),
    "UserError": ("earmark.codec.errors", "UserError"),
    "WriteError": ("earmark.codec.errors", "WriteError"),
    "as_codec": ("earmark.baselines.function_codec", "as_codec"),
    "compare": ("earmark.runs", "compare"),
    "compress": ("earmark.models", "compress"),
    "decompress": ("earmark.models", "decompress"),
    "load_model": ("earmark.models", "load_model"),
    "load_ratings": ("earmark.mushra_app.report.loading", "load_ratings"),
    "load_run": ("earmark.runs", "load_run"),
    "register_codec": ("earmark.baselines.registry", "register_codec"),
    "register_metric": ("earmark.eval.metrics.registry", "register_metric"),
    "score": ("earmark.eval.scoring", "score"),
}

__all__ = [
    "Codes", "Run", "Score", "UserError", "WriteError", "as_codec", "compare", "compress", "decompress", "load_model",
    "load_ratings", "load_run", "register_codec", "register_metric", "score",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _API:
        raise AttributeError(f"module 'earmark' has no attribute {name!r}")
    module, attribute = _API[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
