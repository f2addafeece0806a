"""Loads numba with all that a first call needs, so that processes that are forked afterwards have it already.

It does not import visqol-python, which starts a thread when it is imported.
"""

from __future__ import annotations

import earmark.eval.metrics.visqol  # noqa: F401  # sets numba's variables, which numba reads when it is imported

# isort: split

from numba.core.registry import cpu_target

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
