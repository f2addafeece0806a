"""Tasks in parallel processes, one of which may die without ending the run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, Self, TypeVar

from earmark.codec.parallel import one_thread
from earmark.eval.comparison import worker_process

Task = TypeVar("Task")
Result = TypeVar("Result")

WINDOW = 32  # tasks known ahead per process: a few recordings in all systems, and few in memory


class _Kind(NamedTuple):
    """How tasks are done; see `Workers.run`."""

    work: Callable[[Any], Any]
    died: Callable[[Any], Any]
    group: Callable[[Any], Hashable] = id
    size: Callable[[Any], float] = lambda task: 0.0


def run_tasks(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, died: Callable[[Task], Result], **how: Any
) -> Iterator[tuple[Task, Result]]:
    """Do tasks in processes that end with them.

    Args:
        work, tasks, jobs, died, how: see `Workers` and `Workers.run`.
    """
    with Workers(jobs) as workers:
        yield from workers.run(work, tasks, died, **how)


class Workers:
    """Processes that do tasks of one kind and then of another; they start with the first and end with the block.

    Args:
        jobs: number of processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            # The next run repeats unfinished tasks. Waiting could take minutes, and a second Ctrl-C would hang.
            worker_process.end([process for worker in self._workers for process in worker.processes])
        for wait_for_end in (False, True):  # tell all workers first, as the current task of each may take long
            for worker in self._workers:
                worker.close(wait_for_end)

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        died: Callable[[Task], Result],
        group: Callable[[Task], Hashable] = id,
        imports: Sequence[str] = (),
        size: Callable[[Task], float] = lambda task: 0.0,
        meanwhile: Iterable[Callable[[], object]] = (),
    ) -> Iterator[tuple[Task, Result]]:
        """Yield each task with its result, in order of completion; takes tasks as they are needed.

        Args:
            work: function of a task; an exception of it ends the run.
            died: gives the result of a task whose process was killed (a crash in native code, out of memory).
            group: tasks of one group go to one process while the others have tasks, too, since a process caches what
                its last tasks had in common. By default each task is a group of its own.
            imports: modules that the work imports and that take long to load; loaded once for all processes.
            size: how long the tasks of a group take, relative to others: long groups are begun first, so that all
                processes end at about the same time.
            meanwhile: functions that this process calls while the first processes start and, one at a time, while no
                result is there.
        """
        one_thread()
        self._forget()
        coming, spare = iter(tasks), iter(meanwhile)
        waiting = list(itertools.islice(coming, 1))
        if not waiting:  # no process need start
            return
        started = bool(self._workers)
        if not started:
            self._workers = [_Worker(imports) for _ in range(self.jobs)]
        if imports and not started:  # the first task waits until the modules are loaded
            for call in spare:
                call()
        yield from self._results(_Kind(work, died, group, size), waiting, coming, spare)

    def begin(
        self, work: Callable[[Task], Result], tasks: Sequence[Task], died: Callable[[Task], Result]
    ) -> Callable[[], list[Result]]:
        """Begin tasks of about equal length, at most a few per process, and return at once.

        Without processes, since there has been nothing for them to do, this one does the tasks when it needs the
        results.

        Args:
            work, died: see `run`.

        Returns:
            Function that waits for the results and returns them in the order of the tasks. To be called before other
            tasks are begun, which drop these.
        """
        self._forget()
        if not self._workers:
            return lambda: [work(task) for task in tasks]
        kind, pairs = _Kind(work, died), zip(tasks, itertools.cycle(self._workers))
        waiting = [task for task, worker in pairs if not worker.take(work, task)]

        def results() -> list[Result]:
            by_task = {id(task): result for task, result in self._results(kind, waiting, iter(()), iter(()))}
            return [by_task[id(task)] for task in tasks]

        return results

    def _forget(self) -> None:
        """Drop tasks of a run that was left early: their results belong to nobody."""
        for worker in self._workers:
            worker.forget()

    def _results(
        self, kind: _Kind, waiting: list[Any], coming: Iterator[Any], spare: Iterator[Callable[[], object]]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the results of the tasks that processes have, of those that wait and of those that come."""
        while True:
            known = len(waiting) + sum(len(worker.tasks) for worker in self._workers)
            waiting.extend(itertools.islice(coming, max(0, WINDOW * self.jobs - known)))
            _hand_out(kind, waiting, self._workers)
            running = [future for worker in self._workers for future in worker.tasks]
            if not running:
                return
            while not any(future.done() for future in running) and (following := next(spare, None)) is not None:
                following()
            wait(running, return_when=FIRST_COMPLETED)
            for worker in self._workers:
                yield from worker.finished(kind, waiting)


def _hand_out(kind: _Kind, waiting: list[Any], workers: Sequence[_Worker]) -> None:
    """Give each worker a task and then a second one, so that none is idle when it has done the first.

    The last tasks are kept for the workers that are free first: behind a long task, a second one would wait for it.
    """
    for most in (1, 2):
        for worker in workers:
            if waiting and worker.has_room(most) and (most == 1 or len(waiting) >= len(workers)):
                elsewhere = {other.group for other in workers if other is not worker}
                groups = [kind.group(task) for task in waiting]
                chosen = next((index for index, name in enumerate(groups) if name == worker.group), None)
                if chosen is None:
                    others = [index for index, name in enumerate(groups) if name not in elsewhere]
                    chosen = max(others, key=lambda index: kind.size(waiting[index]), default=0)
                if worker.take(kind.work, waiting[chosen]):
                    worker.group = groups[chosen]
                    del waiting[chosen]


class _Worker:
    """One process, replaced by another if it dies.

    Attributes:
        tasks: its unfinished tasks, in the order of work.
        group: group of the last task.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        self._imports = imports
        self._pool = worker_process.start(imports)
        self._retrying = False  # its only task may have killed the process before, and runs once more, alone
        self.tasks: dict[Future[Any], Any] = {}
        self.group: Hashable = None

    def has_room(self, most: int) -> bool:
        """Whether the worker can take one more task and then has at most `most`."""
        return len(self.tasks) < most and not self._retrying

    def take(self, work: Callable[[Any], object], task: Any) -> bool:
        """Add a task; returns False if the process has died, which `finished` handles."""
        try:
            self._submit(work, task)
        except BrokenProcessPool:
            if self.tasks:
                return False
            self._pool = worker_process.start(self._imports)  # the old process died without a task
            self._submit(work, task)
        return True

    def _submit(self, work: Callable[[Any], object], task: Any) -> None:
        self.tasks[worker_process.submit(self._pool, work, task)] = task

    def finished(self, kind: _Kind, waiting: list[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield tasks that are done. If the process died, those after its current task go back to `waiting`."""
        while self.tasks and next(iter(self.tasks)).done():
            future, task = next(iter(self.tasks.items()))
            try:
                result = future.result()
            except BrokenProcessPool:
                waiting[:0] = list(self.tasks.values())[1:]
                self.tasks.clear()
                self._pool = worker_process.start(self._imports)
                self._retrying = not self._retrying
                if self._retrying:  # it may have finished, and the next task have killed the process
                    self.take(kind.work, task)
                    return
                result = kind.died(task)
            else:
                del self.tasks[future]
                self._retrying = False
            yield task, result

    def forget(self) -> None:
        """Drop all tasks; the process ends its current one first."""
        for future in self.tasks:
            future.cancel()
        self.tasks.clear()
        self.group, self._retrying = None, False

    @property
    def processes(self) -> list[BaseProcess]:
        """The process, if it has started."""
        return worker_process.processes(self._pool)

    def close(self, wait_for_end: bool) -> None:
        """End the process after its current task."""
        self._pool.shutdown(wait=wait_for_end, cancel_futures=True)
