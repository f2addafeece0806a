"""One process at a time writes to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from earmark.codec.errors import UserError, WriteError

LOCK = ".lock"


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, which is created if needed; the system releases it if the process dies.

    Args:
        wait: wait until no other process holds it.

    Raises:
        UserError: another process holds it, and it is not waited for.
        WriteError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, blocking=wait)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"{folder}: another process is writing there; wait until it is done") from error
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
