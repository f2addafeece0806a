"""A cache of arrays, bounded by their size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Kept:
    """Arrays by key; drops the least recently used one first. Those that it returns are read-only.

    Args:
        most_bytes: of all arrays together; an array larger than this is computed again each time.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of a key, computed if it is not there."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        array = np.asarray(compute())
        array.flags.writeable = False
        if array.nbytes <= self._most:
            self._arrays[key] = array
            self._bytes += array.nbytes
        while self._bytes > self._most:
            _, dropped = self._arrays.popitem(last=False)
            self._bytes -= dropped.nbytes
        return array
