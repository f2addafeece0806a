"""What native libraries write past Python to the terminal: kept from it where it tells the user nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2  # the file descriptor, which sys.stderr need not have

_lock = threading.Lock()
_inside = 0
_kept = -1


@contextmanager
def silenced() -> Iterator[None]:
    """Send the process's standard error nowhere inside the block; several threads may be inside at once.

    For libraries that offer no other way, and for short blocks only: other threads' messages are lost too.
    """
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept = _redirect()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _kept >= 0:
                os.dup2(_kept, _STDERR)
                os.close(_kept)


def _redirect() -> int:
    """Point standard error to the null device and return a copy of it as it was; -1 where it is closed."""
    try:
        kept = os.dup(_STDERR)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    return kept
