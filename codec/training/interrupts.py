"""Interrupts of a training: delayed until an update is complete, but immediate while it waits for a batch."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from earmark.codec.training.folder import METADATA

Awaited = TypeVar("Awaited")


class Interrupted(click.ClickException):
    """A training was interrupted, and resuming it takes another command line than starting it."""

    exit_code = 130


class Interrupts:
    """Context that records SIGINT and SIGTERM instead of raising, so that no update is left half done.

    The third signal raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self._received = 0
        self._raises = False

    def __bool__(self) -> bool:
        """Whether a signal was received."""
        return self._received > 0

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._record) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def waiting_for(self, wait: Callable[[], Awaited]) -> Awaited | None:
        """Call `wait`, which a signal ends at once.

        Returns:
            The result of `wait`; None if a signal was received before or meanwhile.
        """
        try:
            try:
                self._raises = True
                return None if self else wait()
            finally:
                self._raises = False
        except KeyboardInterrupt:
            if not self:
                raise
            return None

    def _record(self, number: int, frame: Any) -> None:
        self._received += 1
        if self._raises or self._received > 2:
            self._raises = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def suggest_resume(folder: Path, resume: bool) -> Iterator[None]:
    """Say how to resume a training that is interrupted. For commands with an option --resume.

    Args:
        folder: folder of the training.
        resume: whether the command has --resume already; repeating it is enough then.

    Raises:
        Interrupted: the training had begun, and the command lacks --resume.
    """
    try:
        yield
    except KeyboardInterrupt:
        if resume or not (folder / METADATA).exists():
            raise  # the same command line continues
        raise Interrupted("interrupted; run the same command with --resume to continue") from None
