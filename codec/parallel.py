"""A function of many items in several processes, one of which may die without ending the work."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Each process uses one core; libraries that start a thread per core would compete for the cores.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_busy = False  # whether this process works on an item


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int, died: Callable[[Item], Result]
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with work(item), in order of completion.

    Args:
        work: function of a module, or an object that can be pickled; an exception of it ends the work.
        died: gives the result of an item whose process was killed, by a crash in native code or for its memory.
    """
    left = dict.fromkeys(range(len(items)))
    one_thread()
    while left:
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=begin_worker)
        futures = _submitted(pool, work, items, left)
        try:
            for future in as_completed(futures):
                result = future.result()
                del left[futures[future]]
                yield items[futures[future]], result
        except BrokenProcessPool:
            for future, index in futures.items():
                if index in left and future.done() and future.exception() is None:
                    del left[index]
                    yield items[index], future.result()
            # Whose process died is known only if there was one, which works in order: so go on with one.
            if jobs == 1 and left:
                index = next(iter(left))
                del left[index]
                yield items[index], died(items[index])
            jobs = 1
        except BaseException:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def one_thread() -> None:
    """Let the libraries of processes that start from now on use one thread each, unless the user says otherwise."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # before the processes import numpy


@contextlib.contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Limit the threads of libraries in processes that start during the block; they read the limit when imported."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _submitted(
    pool: ProcessPoolExecutor, work: Callable[[Item], Result], items: Sequence[Item], indices: Iterable[int]
) -> dict[Future[Result], int]:  # fmt: skip
    with sigint_blocked():
        return {pool.submit(_call, work, items[index]): index for index in indices}


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Context in which processes start with SIGINT blocked, as Ctrl-C would end their imports with a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(work: Callable[[Item], Result], item: Item) -> Result:
    global _busy
    _busy = True
    try:
        return work(item)
    except KeyboardInterrupt:
        os._exit(130)  # the pool would go on with the next item
    finally:
        _busy = False


def begin_worker() -> None:
    """Begin a process of a pool, which leaves Ctrl-C to its parent and ends when its parent ends.

    Ctrl-C reaches the whole process group.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _leave(number: int, frame: object) -> None:
    """End at once; work that is interrupted removes the file that it was writing."""
    if _busy:
        raise KeyboardInterrupt
    os._exit(130)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
