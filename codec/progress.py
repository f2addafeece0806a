"""Progress of long work: a bar on a terminal, otherwise plain lines; nothing with --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from earmark.codec.notices import is_quiet

SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show how many of `total` steps are done; call the yielded function after each step with a word about it."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("[dim]{task.fields[step]}", markup=True),
    )  # fmt: skip
    with _shown(label, 0, total, columns, lambda done: f"{done}/{total}") as advance:
        yield lambda step: advance(1, step)


@contextmanager
def byte_progress(label: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how many bytes are transferred, and `total` if it is known.

    Call the yielded function with the number of bytes of each piece.

    Args:
        done: bytes that were transferred earlier.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    of_total = "" if total is None else f"/{total / 1e6:.1f}"
    with _shown(label, done, total, columns, lambda done: f"{done / 1e6:.1f}{of_total} MB") as advance:
        yield lambda count: advance(count, "")


@contextmanager
def audio_progress(label: str, samples: int | None, sample_rate: int) -> Iterator[Callable[[int], None]]:
    """Show how much audio is done, in hours, minutes and seconds.

    Call the yielded function with the number of samples of each piece.

    Args:
        samples: length of the whole, None if it is unknown.
    """

    def clock(done: float) -> str:
        return " of ".join(str(timedelta(seconds=int(n) // sample_rate)) for n in (done, samples) if n is not None)

    class Clock(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(clock(task.completed))

    columns = (
        TextColumn("{task.description}"), BarColumn(), Clock(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with _shown(label, 0, samples, columns, clock) as advance:
        yield lambda count: advance(count, "")


@contextmanager
def _shown(
    label: str, done: int, total: int | None, columns: tuple[ProgressColumn, ...], amount: Callable[[int], str]
) -> Iterator[Callable[[int, str], None]]:
    """A bar made of `columns`, or lines with the `amount` done; call with the advance and a word about it."""
    if is_quiet():
        yield lambda count, step: None
        return
    if sys.stderr.isatty():
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(escape(label), total=total, completed=done, step="")
            yield lambda count, step: bars.update(bar, advance=count, step=escape(step))
        return

    last_line = time.monotonic()

    def advance(count: int, step: str) -> None:
        nonlocal done, last_line
        done += count
        if done == total or time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            print(f"{label}: {amount(done)}  {step}".rstrip(), file=sys.stderr, flush=True)

    yield advance
