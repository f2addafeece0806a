"""Loading of slow libraries after a server has started, so that neither its start nor the first page waits for them."""

from __future__ import annotations

import importlib.abc
import sys
import threading
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

SECONDS = 10.0  # after the start, when listeners whose browsers waited for the server have been answered
PAUSE = 0.01  # seconds before each module, for the requests of other threads; there are several hundred modules


class Pauses(importlib.abc.MetaPathFinder):
    """Pauses before each module that the current thread imports; finds none itself.

    An import computes for a second without a pause and holds the interpreter's lock, for which all requests would wait.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def __enter__(self) -> Pauses:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:  # fmt: skip
        """Leave the search to the other finders, after a pause."""
        if threading.get_ident() == self._thread:
            time.sleep(PAUSE)
        return None


def warm_up() -> None:
    """Import soon, in a thread of its own, what the admin page needs: SciPy takes a second or more."""
    timer = threading.Timer(SECONDS, _import)
    timer.daemon = True
    timer.start()


def _import() -> None:
    with Pauses():
        from earmark.mushra_app.analysis import intervals

    del intervals
