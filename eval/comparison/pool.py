"""Tasks over all cores, in processes that may die without taking the run along."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.context
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar, cast

import cloudpickle

from earmark.baselines import programs

Task = TypeVar("Task")
Result = TypeVar("Result")

GRACE_SECONDS = 2.0  # for a worker to end its programs when it is ended
IN_HAND = 32  # tasks known ahead for each process: some recordings in all systems, and few in memory
# A worker uses one core; libraries that start a thread per core would fight over them.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    jobs: int,
    died: Callable[[Task], Result],
    group: Callable[[Task], Hashable] = id,
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result, in order of completion; tasks are taken as they are needed.

    Args:
        work: a module-level function; what it raises ends the run.
        died: the result of a task whose process was killed (a crash in native code, out of memory).
        group: tasks of one group go to one process as long as there are others for the rest: a process remembers what
            its last tasks had in common. By default each task is a group of its own.
    """
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # before the workers import numpy
    coming = iter(tasks)
    waiting: list[Task] = []
    workers: list[_Worker[Task, Result]] = [_Worker(work) for _ in range(jobs)]
    try:
        while True:
            in_hand = len(waiting) + sum(len(worker.tasks) for worker in workers)
            waiting.extend(itertools.islice(coming, max(0, IN_HAND * jobs - in_hand)))
            _hand_out(waiting, workers, group)
            running = [future for worker in workers for future in worker.tasks]
            if not running:
                return
            wait(running, return_when=FIRST_COMPLETED)
            for worker in workers:
                yield from worker.finished(waiting, died)
    except KeyboardInterrupt:
        # What is at hand is done again next time; waiting for it would take minutes, and a second Ctrl-C would hang.
        _end([process for worker in workers for process in worker.processes])
        raise
    finally:
        for patient in (False, True):  # none is told later because another takes long
            for worker in workers:
                worker.close(patient)


def _hand_out(
    waiting: list[Task], workers: Sequence[_Worker[Task, Result]], group: Callable[[Task], Hashable]
) -> None:  # fmt: skip
    """Give everyone a task, then one more, so that none waits for us when it has done the first."""
    for most in (1, 2):
        for worker in workers:
            if waiting and worker.has_room(most):
                elsewhere = {other.group for other in workers if other is not worker}
                groups = [group(task) for task in waiting]
                of_its_own = (place for place, name in enumerate(groups) if name == worker.group)
                of_nobody = (place for place, name in enumerate(groups) if name not in elsewhere)
                chosen = next(itertools.chain(of_its_own, of_nobody), 0)
                if worker.take(waiting[chosen]):
                    worker.group = groups[chosen]
                    del waiting[chosen]


class _Worker(Generic[Task, Result]):
    """One process, followed by another where it dies.

    Attributes:
        tasks: what it is to do, in this order; `group` is that of the last.
    """

    def __init__(self, work: Callable[[Task], Result]) -> None:
        self._work = work
        self._pool = _process()
        self._alone = False  # its only task was the next one when a process died, and is tried once more
        self.tasks: dict[Future[Result], Task] = {}
        self.group: Hashable = None

    def has_room(self, most: int) -> bool:
        """For one more task, up to `most`."""
        return len(self.tasks) < most and not self._alone

    def take(self, task: Task) -> bool:
        """Add a task; False if the process has died, which is seen when its tasks are looked at."""
        try:
            self.tasks[self._submitted(task)] = task
        except BrokenProcessPool:
            if self.tasks:
                return False
            self._pool = _process()  # the old one died with nothing to do
            self.tasks[self._submitted(task)] = task
        return True

    def _submitted(self, task: Task) -> Future[Result]:
        """Hand over a task by value: its codec may be defined in a notebook or script, which no worker imports."""
        call = cloudpickle.dumps((self._work, task))
        with _main_module_hidden():
            return cast("Future[Result]", self._pool.submit(_called, call))

    def finished(self, waiting: list[Task], died: Callable[[Task], Result]) -> Iterator[tuple[Task, Result]]:
        """Its tasks that are done by now. If the process died, those behind the next one are put back to wait."""
        while self.tasks and next(iter(self.tasks)).done():
            future, task = next(iter(self.tasks.items()))
            try:
                result = future.result()
            except BrokenProcessPool:
                waiting[:0] = list(self.tasks.values())[1:]
                self.tasks.clear()
                self._pool = _process()
                self._alone = not self._alone
                if self._alone:  # its result may just have been lost, and another have ended the process
                    self.take(task)
                    return
                result = died(task)
            else:
                del self.tasks[future]
                self._alone = False
            yield task, result

    @property
    def processes(self) -> list[BaseProcess]:
        """The process, if it is there."""
        return list((getattr(self._pool, "_processes", None) or {}).values())

    def close(self, patient: bool) -> None:
        """End after the task that is being done, and wait for it if patient."""
        self._pool.shutdown(wait=patient, cancel_futures=True)


def _called(call: bytes) -> object:
    work, task = pickle.loads(call)
    return work(task)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Let the processes that start now not import the user's script, which would run it once more in each of them.

    Python does so unless the script has the guard `if __name__ == "__main__"`.
    """
    main = vars(sys.modules["__main__"])
    hidden: dict[str, object] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, _context(), initializer=_begin, initargs=(_environment(),))


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
    context.set_forkserver_preload(["earmark.eval.comparison.work"])
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
