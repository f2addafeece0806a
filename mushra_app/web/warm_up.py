"""Loading of slow libraries after a server has started, so that neither its start nor the first page waits for them."""

from __future__ import annotations

import threading


def warm_up() -> None:
    """Import in a thread of its own what the admin page needs: SciPy takes a second or more."""
    threading.Thread(target=_import, daemon=True).start()


def _import() -> None:
    from earmark.mushra_app.analysis import intervals

    del intervals
