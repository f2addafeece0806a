"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show how much of `total` steps is done; call the yielded function after each step with a word on it."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("[dim]{task.fields[step]}", markup=True),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(label, total=total, step="")
            yield lambda step: bars.update(bar, advance=1, step=step.replace("[", r"\["))
        return

    done, said = 0, time.monotonic()

    def advance(step: str) -> None:
        nonlocal done, said
        done += 1
        if done == total or time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"{label}: {done}/{total}  {step}", file=sys.stderr, flush=True)

    yield advance
