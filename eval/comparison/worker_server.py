"""Imports that the server of worker processes makes before it forks them, so that they are made once."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing import util
from types import TracebackType

from earmark.eval.comparison.worker_process import IMPORTS, NAME


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
    gc.disable()  # nothing that is imported is garbage, and the search for it takes a fifth of the time
    for module in modules:
        with contextlib.suppress(Exception):  # native libraries may raise anything
            importlib.import_module(module)
    gc.freeze()  # workers do not search the modules either, and share their memory for longer
    gc.enable()


def _leave_others_alone(_: object) -> None:
    """Undo in a new process what the server has set, unless it is a worker: the program may start its own, too."""
    if multiprocessing.current_process().name != NAME:
        sys.excepthook = sys.__excepthook__
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_at_once(server: int) -> None:
    """End the server without taking its modules apart, which takes most of a second and does nothing."""
    if os.getpid() == server:
        os._exit(0)


if (modules := os.environ.pop(IMPORTS, None)) is not None:  # only the server has it
    sys.excepthook = _report
    util.register_after_fork(_report, _leave_others_alone)
    atexit.register(_end_at_once, os.getpid())  # exit functions of the modules, registered later, run before it
    _load(["earmark.eval.comparison.work", *modules.split()])
