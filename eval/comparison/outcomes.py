"""Where the tasks of a run are done: in this process, in worker processes, or on a Dask cluster."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.eval.comparison.plan import Plan
from earmark.eval.comparison.pool import run_tasks
from earmark.eval.comparison.work import Outcome, Task, attempt
from earmark.eval.metrics import registry


def outcomes(plan: Plan, to_do: Iterator[Task], metrics: Iterable[str]) -> Iterator[tuple[Task, Outcome]]:
    """Do tasks in this process, in worker processes or on a cluster, as a plan says.

    Args:
        metrics: those that workers load before they start.
    """
    if plan.in_process:
        return ((task, attempt(task)) for task in to_do)
    if plan.cluster is None:
        return run_tasks(
            attempt, to_do, plan.jobs, _died, group=lambda task: task.source.file,
            imports=_imports(plan.compared, metrics),
        )  # fmt: skip
    first = next(to_do, None)
    if first is None:  # nothing to do, so that no cluster need answer
        return iter(())
    from earmark.eval.comparison.cluster import run_on_cluster

    return run_on_cluster(attempt, itertools.chain([first], to_do), plan.cluster, _died)


def _imports(systems: Iterable[System], metrics: Iterable[str]) -> list[str]:
    """Modules that take long to load and that systems or metrics need."""
    needed = [*(registry.find(name).imports for name in metrics), *(family_of(system).imports for system in systems)]
    return list(dict.fromkeys(itertools.chain.from_iterable(needed)))


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"
