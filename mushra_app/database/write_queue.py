"""A queue for the writers of one SQLite file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class WriteQueue:
    """Lets the threads and processes that write to one SQLite file wait for each other.

    When SQLite finds its file locked, it tries again after pauses of up to 0.1 s. With the queue the next writer starts
    at once. A process that dies leaves the queue. SQLite's own lock keeps the data safe with or without it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._open_in: tuple[int, int] | None = None  # process id, file descriptor; forked workers open their own

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this writer's turn, and keep it while the block runs."""
        if fcntl is None:
            yield
            return
        with self._thread:
            if self._open_in is None or self._open_in[0] != os.getpid():
                self._open_in = os.getpid(), os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._open_in[1], fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._open_in[1], fcntl.LOCK_UN)


def queue_for(engine: Engine) -> WriteQueue | None:
    """The queue of an SQLite file; None for databases that let several clients write."""
    if engine.dialect.name != "sqlite" or engine.url.database in (None, "", ":memory:"):
        return None
    return WriteQueue(Path(f"{engine.url.database}-queue"))
