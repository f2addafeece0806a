"""Where the time of a training goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch


class Stopwatch:
    """Seconds spent in named parts; a GPU is waited for at both ends of a part only while `exact` is set.

    Without that the parts of a GPU's work run into each other, but their sum, and the time waited for data, hold.
    """

    def __init__(self, device: torch.device, exact: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._wait = device.type == "cuda" and exact

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = self._now()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + self._now() - start

    def _now(self) -> float:
        if self._wait:
            torch.cuda.synchronize()
        return time.perf_counter()
