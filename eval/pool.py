"""Tasks over all cores, in processes that may die without taking the run along."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.context
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import TypeVar

from baselines import programs

Task = TypeVar("Task")
Result = TypeVar("Result")

GRACE_SECONDS = 2.0  # for a worker to end its programs when it is ended
IN_HAND = 4  # tasks handed out ahead for each process: enough to keep it busy, and few in memory
# A worker uses one core; libraries that start a thread per core would fight over them.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, died: Callable[[Task], Result]
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result, in order of completion; tasks are taken as they are needed.

    Args:
        work: a module-level function; what it raises ends the run.
        died: the result of a task whose process was killed (a crash in native code, out of memory).
    """
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # before the workers import numpy
    waiting = enumerate(tasks)
    pending: dict[int, Task] = dict(itertools.islice(waiting, IN_HAND * jobs))
    while pending:
        suspects = yield from _until_broken(work, pending, waiting, jobs)
        for number in suspects:
            alone = {number: pending[number]}
            if (yield from _until_broken(work, alone, iter(()), 1)):
                yield pending[number], died(pending[number])
            del pending[number]
        pending |= itertools.islice(waiting, IN_HAND * jobs - len(pending))


def _until_broken(
    work: Callable[[Task], Result], pending: dict[int, Task], waiting: Iterator[tuple[int, Task]], jobs: int
) -> Generator[tuple[Task, Result], None, list[int]]:
    """Do and remove pending tasks, each followed by a waiting one, until none is left or a process died.

    Returns:
        The numbers of the tasks that may have killed it.
    """
    pool = ProcessPoolExecutor(jobs, _context(), initializer=_begin, initargs=(_environment(),))
    try:
        running = {pool.submit(work, task): number for number, task in pending.items()}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number = running.pop(future)
                result = future.result()
                yield pending.pop(number), result
                for following, task in itertools.islice(waiting, 1):
                    pending[following] = task
                    running[pool.submit(work, task)] = following
    except KeyboardInterrupt:
        # What is at hand is done again next time; waiting for it would take minutes, and a second Ctrl-C would hang.
        _end(list((getattr(pool, "_processes", None) or {}).values()))
        raise
    except BrokenProcessPool:
        # Tasks start in order, and the pool hands out one more than it has processes.
        return list(pending)[: 2 * jobs + 1]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return []


def _end(processes: Sequence[BaseProcess]) -> None:
    """End workers and wait for them; those that native code keeps from hearing of it, the hard way."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + GRACE_SECONDS
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        process.kill()
        process.join()


def _context() -> multiprocessing.context.BaseContext:
    """Clean processes without the parent's threads, forked from one server that has imported the work already."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eval.work"])
    return context


def _environment() -> dict[str, str]:
    """Our settings: the server that workers are forked from has those of the time when it began."""
    return {name: value for name, value in os.environ.items() if name.startswith("EARMARK_")}


def _begin(environment: dict[str, str]) -> None:
    """Leave Ctrl-C, which reaches the whole process group, to the parent; end with it, however it ends."""
    os.environ.update(environment)
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
    os._exit(1)  # what is at hand has nobody to go to
