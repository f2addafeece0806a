"""Where the tasks of a run are done: in this process, in worker processes, or on a Dask cluster."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.codec.audio import SUFFIXES
from earmark.codec.parallel import one_thread
from earmark.codec.remote_paths import is_remote
from earmark.eval.comparison import availability, worker_process
from earmark.eval.comparison.plan import Plan
from earmark.eval.comparison.pool import run_tasks
from earmark.eval.comparison.work import Outcome, Task, attempt
from earmark.eval.metrics import registry

SECOND = 96_000  # bytes of a second of audio in 16 bits at 48 kHz


def load_ahead(plan: Plan) -> None:
    """Let worker processes load their libraries while this process loads its own, if there will be work for them.

    There will be for a new run of recordings that exist, if nothing keeps its systems and metrics from running.
    """
    if plan.in_process or plan.cluster is not None or is_remote(plan.run) or plan.run.is_file():
        return
    if plan.run.is_dir() and any(plan.run.iterdir()):
        return
    if is_remote(plan.audio_dir) or not (plan.audio_dir.is_file() or _has_audio(plan.audio_dir)):
        return
    if availability.unavailable_systems(plan.compared) or availability.unavailable_metrics(plan.metrics):
        return
    one_thread()
    worker_process.load_ahead(_imports(plan.compared, plan.metrics))


def _has_audio(folder: Path) -> bool:
    return any(name.lower().endswith(SUFFIXES) for _, _, names in os.walk(folder, followlinks=True) for name in names)


def outcomes(
    plan: Plan, to_do: Iterator[Task], metrics: Iterable[str], meanwhile: Iterable[Callable[[], object]] = ()
) -> Iterator[tuple[Task, Outcome]]:
    """Do tasks in this process, in worker processes or on a cluster, as a plan says.

    Args:
        metrics: those that workers load before they start.
        meanwhile: functions that this process calls while worker processes are busy.
    """
    if plan.in_process:
        return ((task, attempt(task)) for task in to_do)
    if plan.cluster is None:
        return run_tasks(
            attempt, to_do, plan.jobs, _died, group=lambda task: task.source.file,
            imports=_imports(plan.compared, metrics), size=_size, meanwhile=meanwhile,
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


def _imports(systems: Iterable[System], metrics: Iterable[str]) -> list[str]:
    """Modules that take long to load and that systems or metrics need."""
    needed = [*(registry.find(name).imports for name in metrics), *(family_of(system).imports for system in systems)]
    return list(dict.fromkeys(itertools.chain.from_iterable(needed)))


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"
