"""The tasks of a run on a Dask cluster: the same functions, on machines that share the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from codec.errors import UserError
from eval.pool import ONE_THREAD

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECT_SECONDS = 30
IN_HAND = 4  # tasks sent ahead for each thread of the cluster: enough to keep it busy, few enough for any scheduler


def run_on_cluster(
    work: Callable[[Task], Result], tasks: Iterable[Task], address: str, died: Callable[[Task], Result]
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result, in order of completion; like `eval.pool.run_tasks`.

    A task whose worker dies is done again by another. The workers see the same files under the same paths.

    Args:
        address: of the scheduler, "tcp://host:8786".
        died: the result of a task that has cost several workers their lives.

    Raises:
        UserError: Dask is not installed, no scheduler answers, or it has no workers.
    """
    client = _connect(address)
    from distributed import KilledWorker, as_completed

    waiting, sent = iter(tasks), {}
    try:
        client.run(_use_one_thread)
        room = IN_HAND * sum(client.nthreads().values())
        for task in _take(waiting, room):
            sent[client.submit(work, task, pure=False)] = task
        running = as_completed(list(sent))
        for future in running:
            task = sent.pop(future)
            try:
                result = future.result()
            except KilledWorker:
                result = died(task)
            for following in _take(waiting, 1):
                another = client.submit(work, following, pure=False)
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


def _use_one_thread() -> None:
    """A worker's tasks run side by side already."""
    import os

    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
