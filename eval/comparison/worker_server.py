"""Imports that the server of worker processes makes before it forks them, so that they are made once."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from types import TracebackType

import earmark.eval.comparison.work  # noqa: F401
from earmark.eval.comparison.worker_process import IMPORTS


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report an error, except that of a worker whose parent was interrupted before it started.

    It finds the semaphores of its queues gone, which is no news to the user.
    """
    frames = traceback.extract_tb(trace)
    orphaned = isinstance(error, FileNotFoundError) and frames[-1].filename.endswith("synchronize.py")
    if not orphaned:
        sys.__excepthook__(kind, error, trace)


def _load(modules: list[str]) -> None:
    """Import modules; the work that needs one that fails reports why."""
    for module in modules:
        with contextlib.suppress(Exception):  # native libraries may raise anything
            importlib.import_module(module)


sys.excepthook = _report
_load(os.environ.pop(IMPORTS, "").split())
