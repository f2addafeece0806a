"""What the server of worker processes imports before it forks them: the work, once for all."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

import earmark.eval.comparison.work  # noqa: F401


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report an error, except that of a worker whose parent was interrupted before it started.

    It finds the semaphores of its queues gone, which is no news to the user.
    """
    frames = traceback.extract_tb(trace)
    orphaned = isinstance(error, FileNotFoundError) and frames[-1].filename.endswith("synchronize.py")
    if not orphaned:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _report
