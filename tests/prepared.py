"""A Python process that has imported Earmark and forks for each call, as importing takes longer than most calls.

A call has the working folder, standard output and exit status of a program of its own, and what it registers or changes
ends with it. The calls share one server of workers (`earmark.eval.comparison.worker_process`). Tests of what a command
imports or how it starts need a new process instead.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
import types
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = (
    "flask", "matplotlib.pyplot", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_pdf", "numpy",
    "pandas", "pyarrow.parquet", "safetensors.torch", "scipy.signal", "scipy.stats", "soundfile", "sqlalchemy.orm",
    "torch",
)  # fmt: skip


class Prepared:
    """Starts the process, and calls functions in forks of it.

    Args:
        environment: environment variables of all calls and of their workers.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        replies, theirs = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs)], stdin=subprocess.PIPE, env=environment, pass_fds=[theirs], cwd=ROOT
        )
        os.close(theirs)
        self._replies = os.fdopen(replies)

    def call(self, function: str, *arguments: str, folder: Path, output: Path, seconds: int = 300) -> int:
        """Call "module:function" in a folder, with a limit on its duration.

        Args:
            output: file for standard output and standard error.

        Returns:
            The exit status; -N after signal N.
        """
        order = {"function": function, "arguments": arguments, "folder": str(folder), "output": str(output)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**order, "seconds": seconds}).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._replies.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._replies.close()


def serve(replies: int) -> None:
    """Import everything, and fork for each order on standard input."""
    from earmark.eval.comparison import worker_process
    from earmark.tree import COMMANDS

    for name in (*LIBRARIES, *(f"earmark.{entry.module}" for entry in COMMANDS.values())):
        with contextlib.suppress(ImportError):  # an extra that is not installed
            importlib.import_module(name)
    worker_process.start(worker_imports())
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            obey(**json.loads(line))
        _, status = os.waitpid(child, 0)
        os.write(replies, b"%d\n" % os.waitstatus_to_exitcode(status))
    forkserver._forkserver._stop()


def worker_imports() -> list[str]:
    """Modules that workers may need."""
    from earmark.baselines.encodec import Encodec
    from earmark.eval.metrics.registry import registered

    return [*dict.fromkeys([*(name for one in registered().values() for name in one.imports), *Encodec.imports])]


def obey(function: str, arguments: list[str], folder: str, output: str, seconds: int) -> NoReturn:
    """Call the function and end the process, as Python does at the end of a program."""
    status = 1
    try:
        become_program(Path(output))
        signal.alarm(seconds)
        os.chdir(folder)
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)(*arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def become_program(output: Path) -> None:
    """Give a fork streams and a main module of its own, and the server of workers of its parent."""
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream, descriptor in ((os.open(os.devnull, os.O_RDONLY), 0), (target, 1), (target, 2)):
        os.dup2(stream, descriptor)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    sys.modules["__main__"] = types.ModuleType("__main__")  # spawned processes would import that of the parent
    # Python waits for the server to see if it runs, which only its parent can do.
    forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    serve(int(sys.argv[1]))
