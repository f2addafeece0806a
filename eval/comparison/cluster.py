"""The tasks of a run on a Dask cluster: the same functions, on machines that share the run's folder."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from earmark.codec.errors import UserError
from earmark.eval.comparison.pool import ONE_THREAD

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECT_SECONDS = 30
OURS = "EARMARK_"  # how the names of our settings in the environment begin, which options of a command set, too
IN_HAND = 4  # tasks sent ahead for each thread of the cluster: enough to keep it busy, few enough for any scheduler
_SETTLING = threading.Lock()  # a worker may have threads


def run_on_cluster(
    work: Callable[[Task], Result], tasks: Iterable[Task], address: str, died: Callable[[Task], Result]
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result, in order of completion; like `earmark.eval.comparison.pool.run_tasks`.

    A task whose worker dies is done again by another. The workers see the same files under the same paths, and take our
    settings with every task: one that joins late has them, and the next command's are not mixed with ours.

    Args:
        address: of the scheduler, "tcp://host:8786".
        died: the result of a task that has cost several workers their lives.

    Raises:
        UserError: Dask is not installed, no scheduler answers, it has no workers, or it went away.
    """
    client = _connect(address)
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    waiting, sent, settings = iter(tasks), {}, _settings()
    try:
        room = IN_HAND * sum(client.nthreads().values())
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
                    f"--cluster {address}: the scheduler is gone; start it, and run this again: what was done is kept"
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
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--cluster: Dask is not installed; run `pip install 'earmark[cluster]'`") from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # its tracebacks: we say it in a line
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
    """A task on a worker, under the settings of the command that sent it."""
    with _SETTLING:
        wanted = {**_own_settings(), **settings}
        if wanted != _settings():
            for name in _settings().keys() - wanted.keys():
                del os.environ[name]
            os.environ.update(wanted)
        for name in ONE_THREAD:
            os.environ.setdefault(name, "1")  # a worker's tasks run side by side already
    return work(task)


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(OURS)}


@functools.cache
def _own_settings() -> dict[str, str]:
    """What the worker was started with, asked for before its first task."""
    return _settings()
