"""Measures where the time of a training goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch


class Stopwatch:
    """Adds up the seconds spent in named parts of an update.

    A GPU works asynchronously, so parts of its work are attributed to later parts. The total, and the time spent
    waiting for data, are right nevertheless.

    Args:
        device: device that computes.
        exact: wait for the GPU at both ends of each part, which attributes all work correctly but slows it down.
    """

    def __init__(self, device: torch.device, exact: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._synchronize = device.type == "cuda" and exact

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = self._now()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + self._now() - start

    def _now(self) -> float:
        if self._synchronize:
            torch.cuda.synchronize()
        return time.perf_counter()
