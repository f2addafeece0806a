"""Commands in copies of the test process, which has their libraries already.

A fork must not compute gradients once its parent has. See `prepared` for trainings, and for many calls.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import earmark.cli as program


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
    """Do in a fork what `python -m earmark ARGUMENTS` does, and end it."""
    status = 1
    try:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # among them the other ends of pipes
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin = os.fdopen(0, encoding=encoding)
        sys.stdout = os.fdopen(1, "w", encoding=encoding)
        sys.stderr = os.fdopen(2, "w", encoding=encoding, errors="backslashreplace")
        sys.argv = ["earmark", *map(str, arguments)]
        program.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else status
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            if not sys.stdout.closed:
                sys.stdout.flush()
        except OSError:
            traceback.print_exc()
            status = 120
        sys.stderr.flush()
        os._exit(status)
