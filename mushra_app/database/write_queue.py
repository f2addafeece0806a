"""A queue for the writers of one SQLite file, and the way of their changes to the disk."""

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

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class WriteQueue:
    """Lets the threads and processes that write to one SQLite file wait for each other.

    When SQLite finds its file locked, it tries again after pauses of up to 0.1 s. With the queue the next writer starts
    at once. A process that dies leaves the queue. SQLite's own lock keeps the data safe with or without it.

    Args:
        database: the SQLite file.
    """

    def __init__(self, database: str) -> None:
        self._path = Path(f"{database}-queue")
        self._log = Path(f"{database}-wal")
        self._thread = threading.Lock()
        self._open_in: tuple[int, int] | None = None  # process id, file descriptor; forked workers open their own

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this writer's turn, and keep it while the block runs."""
        with self._thread:
            if self._open_in is None or self._open_in[0] != os.getpid():
                self._open_in = os.getpid(), os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._open_in[1], fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._open_in[1], fcntl.LOCK_UN)

    def to_disk(self) -> None:
        """Wait until all that was committed is on the disk, while the next writers already write.

        SQLite's synchronous=FULL does the same to its write-ahead log, within the transaction, so that each writer
        waits for the disk once for every writer before it.
        """
        try:
            descriptor = os.open(self._log, os.O_RDWR)
        except FileNotFoundError:  # the last connection was closed, which moved all changes to the file
            return
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)


def queue_for(engine: Engine) -> WriteQueue | None:
    """The queue of an SQLite file; None for other databases, and where files cannot be locked."""
    if fcntl is None or engine.dialect.name != "sqlite" or engine.url.database in (None, "", ":memory:"):
        return None
    return WriteQueue(str(engine.url.database))
