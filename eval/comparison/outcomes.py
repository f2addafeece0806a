"""Where the tasks of a run are done: in this process, in worker processes, or on a Dask cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from earmark.eval.comparison.ahead import imports_of
from earmark.eval.comparison.plan import Plan
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.work import Outcome, Task, attempt

SECOND = 96_000  # bytes of a second of audio in 16 bits at 48 kHz


def outcomes(
    plan: Plan, to_do: Iterator[Task], metrics: Iterable[str], workers: Workers,
    meanwhile: Iterable[Callable[[], object]] = (),
) -> Iterator[tuple[Task, Outcome]]:  # fmt: skip
    """Do tasks in this process, in worker processes or on a cluster, as a plan says.

    Args:
        metrics: those that workers load before they start.
        workers: the worker processes of the plan.
        meanwhile: functions that this process calls while worker processes are busy.
    """
    if plan.in_process:
        return ((task, attempt(task)) for task in to_do)
    if plan.cluster is None:
        return workers.run(
            attempt, to_do, _died, group=lambda task: task.source.file, imports=imports_of(plan.compared, metrics),
            size=_size, meanwhile=meanwhile,
        )  # fmt: skip
    first = next(to_do, None)
    if first is None:  # nothing to do, so that no cluster need answer
        return iter(())
    from earmark.eval.comparison.cluster import run_on_cluster

    return run_on_cluster(attempt, itertools.chain([first], to_do), plan.cluster, _died)


def _size(task: Task) -> float:
    """About how many bytes of audio a task codes."""
    if task.source.excerpt is not None:
        return task.source.excerpt[1] * SECOND
    return task.stamp[0] if task.stamp is not None else 0.0


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"
