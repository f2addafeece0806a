"""A process that does tasks: how it starts, receives tasks, and ends with its parent and its own programs."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import multiprocessing.context
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import TypeVar, cast

import cloudpickle

from earmark.baselines import programs
from earmark.codec.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")

GRACE_SECONDS = 2.0  # for a worker to end its programs
NAME = "earmark worker"  # of each process
IMPORTS = "_WORKER_IMPORTS"  # variable that names the modules for the server of workers to load


def start(imports: Sequence[str] = ()) -> ProcessPoolExecutor:
    """A pool of one process; it starts with the first task.

    Args:
        imports: modules that the work imports and that take long to load. The first pool of this process loads them
            once, for all pools, where processes can be forked.
    """
    return ProcessPoolExecutor(1, _context(imports), initializer=_begin, initargs=(_settings(),))


def load_ahead(imports: Sequence[str]) -> None:
    """Begin to load modules for processes that will be started; returns at once.

    It does nothing where processes cannot be forked.
    """
    _context(imports)


def submit(pool: ProcessPoolExecutor, work: Callable[[Task], Result], task: Task) -> Future[Result]:
    """Send a task by value, since its codec may be defined in a notebook or script, which no worker imports."""
    call = cloudpickle.dumps((work, task))
    with _main_module_hidden():
        return cast("Future[Result]", pool.submit(_call, call))


def processes(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    """The process of a pool, if it has started."""
    return list((getattr(pool, "_processes", None) or {}).values())


def end(workers: Sequence[BaseProcess]) -> None:
    """End processes and wait for them; kills those that are in native code and do not react in time."""
    for process in workers:
        process.terminate()
    until = time.monotonic() + GRACE_SECONDS
    for process in workers:
        process.join(max(0.0, until - time.monotonic()))
        process.kill()
        process.join()


def _call(call: bytes) -> object:
    try:
        work, task = pickle.loads(call)
    except Exception as error:  # importing a user's module may raise anything
        raise UserError(
            f"a worker process cannot load a codec or metric ({type(error).__name__}: {error}); install its package, "
            "or add its folder to PYTHONPATH"
        ) from error
    return work(task)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep processes that start now from importing the user's script, which would run it again in each of them.

    Python imports it unless the script has the guard `if __name__ == "__main__"`.
    """
    main = vars(sys.modules["__main__"])
    hidden: dict[str, object] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)


def _context(imports: Sequence[str]) -> multiprocessing.context.BaseContext:
    """Start clean processes, without the parent's threads, as forks of a server that has imported the work already.

    A program has one such server. If it starts processes of its own from it, their names differ from those of workers.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = copy.copy(multiprocessing.get_context("forkserver"))
    context.Process = functools.partial(context.Process, name=NAME)  # type: ignore[misc,assignment]
    context.set_forkserver_preload(["earmark.eval.comparison.worker_server"])
    _start_server(imports)
    return context


def _start_server(imports: Sequence[str]) -> None:
    """Start the server with SIGINT blocked, which its processes inherit, unless it runs already.

    It ignores SIGINT only once it has imported the work, which takes seconds. Ctrl-C in that time would end it with a
    traceback, and leave semaphores behind.
    """
    resource_tracker.ensure_running()  # otherwise the server starts it, which unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ[IMPORTS] = " ".join(imports)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[IMPORTS]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settings() -> dict[str, str]:
    """Environment variables of Earmark; the server that processes are forked from has those of its own start."""
    return {name: value for name, value in os.environ.items() if name.startswith("EARMARK_")}


def _begin(settings: dict[str, str]) -> None:
    """Leave Ctrl-C, which reaches the whole process group, to the parent, and end when the parent ends."""
    os.environ.update(settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _leave())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _leave()


def _leave() -> None:
    programs.end_all()
    os._exit(1)  # at once: nobody waits for the result
