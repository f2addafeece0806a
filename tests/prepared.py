"""A Python process that has imported Earmark and forks for each call, as importing takes longer than most calls.

A call has the working folder, environment, standard output and exit status of a program of its own, and what it
registers or changes ends with it. Tests of what a command imports or how it starts need a new process instead.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Running:
    """A call that has been started in a process group of its own.

    Args:
        pid: number of the process and of its group.
    """

    pid: int
    _prepared: Prepared

    def wait(self) -> int:
        """Wait for its end and return its exit status; -N after signal N."""
        return self._prepared._ask({"wait": self.pid})

    def send(self, number: int) -> None:
        """Send a signal to the whole group."""
        os.killpg(self.pid, number)


class Prepared:
    """Starts the process, and calls functions in forks of it.

    Args:
        environment: environment variables of all calls.
        imports: modules to import; those that are not installed are left out.
        workers: let the calls share one server of workers (`earmark.eval.comparison.worker_process`).
    """

    def __init__(self, environment: Mapping[str, str], imports: Sequence[str], workers: bool = False) -> None:
        replies, theirs = os.pipe()
        command = [sys.executable, __file__, str(theirs), *(["--workers"] if workers else []), *imports]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=[theirs], cwd=ROOT)
        os.close(theirs)
        self._replies = os.fdopen(replies)

    def start(
        self, function: str, *arguments: str, folder: Path, output: Path, seconds: int = 300,
        environment: Mapping[str, str] | None = None,
    ) -> Running:  # fmt: skip
        """Start "module:function" in a folder, with a limit on its duration.

        Args:
            output: file for standard output and standard error.
            environment: further variables.
        """
        order = {"function": function, "arguments": arguments, "folder": str(folder), "output": str(output)}
        return Running(self._ask({**order, "seconds": seconds, "environment": dict(environment or {})}), self)

    def call(self, function: str, *arguments: str, folder: Path, output: Path) -> int:
        """Start a function, wait for its end, and return its exit status."""
        return self.start(function, *arguments, folder=folder, output=output).wait()

    def run_ranks(
        self, code: str, folder: Path, environments: Sequence[Mapping[str, str]] = ({}, {}), seconds: int = 180
    ) -> list[str]:
        """Run a program once per environment, at the same time, with the folder and its number as arguments.

        Returns:
            What each has printed; all must have ended with status 0.
        """
        outputs = [folder / f"said-{rank}.txt" for rank in range(len(environments))]
        running = [
            self.start(
                "tests.prepared:execute", code, str(folder), str(rank),
                folder=ROOT, output=output, seconds=seconds, environment=environment,
            )
            for rank, (output, environment) in enumerate(zip(outputs, environments, strict=True))
        ]  # fmt: skip
        statuses = [process.wait() for process in running]
        said = [output.read_text(encoding="utf-8") for output in outputs]
        assert not any(statuses), (statuses, said)
        return said

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._replies.close()

    def _ask(self, order: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._replies.readline()
        assert answer, "the process that forks has ended"
        return int(answer)


def serve(replies: int, imports: Sequence[str], workers: bool) -> None:
    """Import the modules, and fork or wait for each order on standard input."""
    gc.disable()  # nothing that is imported is garbage
    for name in imports:
        with contextlib.suppress(ImportError):  # an extra that is not installed
            importlib.import_module(name)
    if workers:
        from earmark.eval.comparison import worker_process

        worker_process.start(worker_imports())
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, which close this process
    running: set[int] = set()
    try:
        for line in sys.stdin:
            order = json.loads(line)
            if process := order.get("wait"):
                running.remove(process)
                answer = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            elif answer := os.fork():
                running.add(answer)
            else:
                os.close(replies)  # otherwise the tests would wait for the answer of a server that has died
                obey(shared_workers=workers, **order)
            os.write(replies, b"%d\n" % answer)
    finally:
        for process in running:  # of tests that failed or were interrupted
            os.kill(process, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):  # it had no group yet, or nothing is left of it
                os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if workers:
            forkserver._forkserver._stop()


def worker_imports() -> list[str]:
    """Modules that workers may need."""
    from earmark.baselines.encodec import Encodec
    from earmark.eval.metrics.registry import registered

    return [*dict.fromkeys([*(name for one in registered().values() for name in one.imports), *Encodec.imports])]


def obey(
    function: str, arguments: list[str], folder: str, output: str, seconds: int, environment: dict[str, str],
    shared_workers: bool,
) -> NoReturn:  # fmt: skip
    """Call the function and end the process, as Python does at the end of a program."""
    status = 1
    try:
        become_program(Path(output), shared_workers)
        os.environ.update(environment)
        signal.alarm(seconds)
        os.chdir(folder)
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)(*arguments)
        status = 0
    except SystemExit as end:
        status = exit_status(end)
    except BaseException:
        traceback.print_exc()
    finally:
        end_program(status)


def end_program(status: int) -> NoReturn:
    """Run the functions that wait for the end, flush the streams and end the process; status 120 if that fails."""
    try:
        atexit._run_exitfuncs()
        status = status if _flushed() else 120
    finally:
        os._exit(status)


def _flushed() -> bool:
    """Write what the streams still hold. Python ends with status 120 where it cannot."""
    flushed = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except OSError:
            flushed = False
            if stream is sys.stdout:
                traceback.print_exc()
    return flushed


def exit_status(end: SystemExit) -> int:
    """Exit status that Python gives a program that ends so; a text is printed, and gives 1."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def become_program(output: Path, shared_workers: bool) -> None:
    """Give a fork streams, a main module and a group of its own, and the server of workers of its parent."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    for stream, descriptor in ((os.open(os.devnull, os.O_RDONLY), 0), (target, 1), (target, 2)):
        os.dup2(stream, descriptor)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    sys.modules["__main__"] = types.ModuleType("__main__")  # spawned processes would import that of the parent
    if shared_workers:
        # Python waits for the server to see if it runs, which only its parent can do.
        forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None
        multiprocessing.get_context = _forks_for_spawned


_get_context = multiprocessing.get_context


def _forks_for_spawned(method: str | None = None) -> multiprocessing.context.BaseContext:
    """The server's processes in place of spawned ones, which would import all of it again.

    So `earmark.codec.parallel.in_processes` and others run in the pages with processes that users do not have; with
    spawned ones they run in tests/codec/cli/test_trees.py (--jobs 2) and in the tests of each package.
    """
    return _get_context("forkserver" if method == "spawn" else method)


def earmark(*arguments: str) -> None:
    """The command `earmark ARGUMENTS`."""
    from earmark import cli

    sys.argv = ["earmark", *arguments]
    cli.main()


def execute(code: str, *arguments: str) -> None:
    """The program `python -c CODE ARGUMENTS`."""
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    modules = [name for name in sys.argv[2:] if name != "--workers"]
    serve(int(sys.argv[1]), modules, workers="--workers" in sys.argv)
