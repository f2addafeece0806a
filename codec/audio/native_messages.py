"""Suppression of messages that native libraries write to standard error directly, bypassing Python."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2  # file descriptor; sys.stderr may be another file

_lock = threading.Lock()
_inside = 0  # threads in a `silenced` block
_saved = -1  # copy of the original descriptor


@contextmanager
def silenced() -> Iterator[None]:
    """Discard what the process writes to standard error during the block; several threads may be inside at once.

    Use it for short blocks, and for libraries that offer no other way: messages of other threads are lost too.
    """
    global _inside, _saved
    with _lock:
        if _inside == 0:
            _saved = _redirect()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _saved >= 0:
                os.dup2(_saved, _STDERR)
                os.close(_saved)


def _redirect() -> int:
    """Point standard error to the null device; return a copy of the original descriptor, -1 if it is closed."""
    try:
        saved = os.dup(_STDERR)
    except OSError:
        return -1
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STDERR)
    os.close(null)
    return saved
