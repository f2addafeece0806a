"""Commands in copies of the test process, which has their libraries already.

A fork must not compute gradients once its parent has. See `prepared` for trainings, and for many calls.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import importlib
import logging
import multiprocessing.process
import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, resource_tracker
from typing import Any, NoReturn

import earmark.cli as program

from .prepared import end_program, exit_status


def started(
    *arguments: object, before: Callable[[], object] = lambda: None, encoding_of_streams: str = "utf-8", **pipes: Any
) -> subprocess.Popen[Any]:
    """Start `earmark ARGUMENTS` in a fork.

    Args:
        before: called in the fork.
        encoding_of_streams: as PYTHONIOENCODING sets it.
        pipes: options of Popen.
    """

    def run() -> NoReturn:
        before()
        _be_command(arguments, encoding_of_streams)

    # The signals that Python ignores stay ignored.
    return subprocess.Popen(["earmark"], preexec_fn=run, restore_signals=False, **pipes)


def _be_command(arguments: Sequence[object], encoding: str) -> NoReturn:
    """Do in a fork what `python -m earmark ARGUMENTS` does, and end it; threads that still run are not waited for."""
    status = 1
    try:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # among them the other ends of pipes
        sys.stdin = os.fdopen(0, encoding=encoding)
        sys.stdout = os.fdopen(1, "w", encoding=encoding)
        sys.stderr = os.fdopen(2, "w", encoding=encoding, errors="backslashreplace")
        _leave_pytest()
        _leave_processes()
        sys.argv = ["earmark", *map(str, arguments)]
        program.main()
        status = 0
    except SystemExit as end:
        status = exit_status(end)
    except BaseException:
        traceback.print_exc()
    finally:
        end_program(status)


def _leave_pytest() -> None:
    """Undo what pytest has set for a test: records of warnings, log lines and errors, which would not be printed."""
    faulthandler.disable()  # its file is closed
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    logging.getLogger().handlers.clear()
    importlib.reload(warnings)  # with the filters of a new process
    with warnings.catch_warnings():  # forgets which warnings have been shown
        pass
    gc.enable()  # Popen disables it


def _leave_processes() -> None:
    """Forget the processes that multiprocessing has started for the parent, and what is to be done at its end.

    The number of a closed pipe to one of them would be that of another file.
    """
    multiprocessing.process._children.clear()
    for server in (resource_tracker._resource_tracker, forkserver._forkserver):
        server.__init__()
    sys.modules["__main__"] = types.ModuleType("__main__")  # spawned processes would import pytest
    atexit._clear()
    atexit.register(multiprocessing.util._exit_function)
