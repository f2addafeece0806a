"""The tasks of a run on a Dask cluster, whose machines share the folder of the run."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from earmark.baselines.parcels import sent_whole
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.parallel import one_thread

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECT_SECONDS = 30
PREFIX = "EARMARK_"  # of environment variables that are settings of Earmark
WINDOW = 4  # tasks sent ahead per thread of the cluster: enough to keep it busy, few enough for any scheduler
_SETTINGS_LOCK = threading.Lock()  # a worker may have threads


def run_on_cluster(
    work: Callable[[Task], Result], tasks: Iterable[Task], address: str, died: Callable[[Task], Result]
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result, in order of completion; like `earmark.eval.comparison.pool.run_tasks`.

    Another worker repeats a task whose worker dies. The workers must see the same files under the same paths. Each task
    brings the settings of this process, so that they reach workers that join late and end with this run.

    Args:
        address: address of the scheduler, e.g. "tcp://host:8786".
        died: gives the result of a task that killed several workers.

    Raises:
        UserError: Dask is not installed, no scheduler answers, it has no workers, or it ends during the run.
    """
    with sent_whole():
        yield from _run(_connect(address), work, tasks, address, died)


def _run(
    client: Client, work: Callable[[Task], Result], tasks: Iterable[Task], address: str, died: Callable[[Task], Result]
) -> Iterator[tuple[Task, Result]]:
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    waiting, sent, settings = iter(tasks), {}, _settings()
    try:
        room = WINDOW * sum(client.nthreads().values())
        for task in _take(waiting, room):
            sent[client.submit(_do, work, task, settings, pure=False)] = task
        running = as_completed(list(sent))
        for future in running:
            task = sent.pop(future)
            try:
                result = future.result()
            except KilledWorker:
                result = died(task)
            except FutureCancelledError as error:
                raise UserError(
                    f"--cluster {address}: the scheduler is gone; start it, and run this again; finished work is kept"
                ) from error
            for following in _take(waiting, 1):
                another = client.submit(_do, work, following, settings, pure=False)
                sent[another] = following
                running.add(another)
            yield task, result
    finally:
        client.cancel(list(sent))
        client.close()


def _connect(address: str) -> Client:
    require("distributed", extra="cluster", for_="--cluster")
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # hides tracebacks; we report one line
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"--cluster {address}: no scheduler answers there ({error}); start `dask scheduler`") from error
    if not client.nthreads():
        client.close()
        raise UserError(f"--cluster {address}: the scheduler has no workers; start some with `dask worker {address}`")
    return client


def _take(tasks: Iterator[Task], count: int) -> Iterator[Task]:
    for _, task in zip(range(count), tasks, strict=False):
        yield task


def _do(work: Callable[[Task], Result], task: Task, settings: Mapping[str, str]) -> Result:
    """Do a task on a worker, with the settings of the command that sent it."""
    with _SETTINGS_LOCK:
        wanted = {**_own_settings(), **settings}
        if wanted != _settings():
            for name in _settings().keys() - wanted.keys():
                del os.environ[name]
            os.environ.update(wanted)
        one_thread()  # the tasks of a worker run in parallel already
    return work(task)


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


@functools.cache
def _own_settings() -> dict[str, str]:
    """Settings that the worker was started with; first called before its first task."""
    return _settings()
