"""Work on several threads, with the results in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[tuple[Item, Result]]:
    """Yield each item with work(item), in the order of the items.

    Threads are enough for decoding, resampling and Fourier transforms, which release the interpreter lock. At most
    2 * `jobs` results are computed ahead, so that long recordings do not fill the memory.
    """
    rest = iter(items)
    with ThreadPoolExecutor(jobs) as threads:
        ahead: deque[tuple[Item, Future[Result]]] = deque()
        try:
            ahead.extend((item, threads.submit(work, item)) for item in islice(rest, 2 * jobs))
            while ahead:
                item, result = ahead.popleft()
                yield item, result.result()
                ahead.extend((item, threads.submit(work, item)) for item in islice(rest, 1))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
