"""Loading of slow libraries after a server has started, so that neither its start nor the first page waits for them."""

from __future__ import annotations

import threading

SECONDS = 10.0  # after the start, when listeners whose browsers waited for the server have been answered


def warm_up() -> None:
    """Import soon, in a thread of its own, what the admin page needs: SciPy takes a second or more."""
    timer = threading.Timer(SECONDS, _import)
    timer.daemon = True
    timer.start()


def _import() -> None:
    from earmark.mushra_app.analysis import intervals

    del intervals
