"""Interrupts of a training: noted while an update is made, obeyed at once while there is nothing to lose."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from earmark.codec.training.folder import ABOUT

Awaited = TypeVar("Awaited")


class Interrupted(click.ClickException):
    """A training was interrupted, and is gone on with by another command than the one that began it."""

    exit_code = 130


class Interrupts:
    """SIGINT and SIGTERM while the context is entered: noted, so that an update is never left half done.

    The third one raises KeyboardInterrupt wherever it comes.
    """

    def __init__(self) -> None:
        self._received = 0
        self._raises = False

    def __bool__(self) -> bool:
        """Whether there was one."""
        return self._received > 0

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def waiting_for(self, wait: Callable[[], Awaited]) -> Awaited | None:
        """What `wait` returns; None if an interrupt came before or meanwhile, which ends it at once."""
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

    def _note(self, number: int, frame: Any) -> None:
        self._received += 1
        if self._raises or self._received > 2:
            self._raises = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def saying_how_to_go_on(folder: Path, resume: bool) -> Iterator[None]:
    """For a command whose training in `folder`, once begun, goes on with --resume alone.

    Raises:
        Interrupted: the training had begun, and the command has no --resume yet.
    """
    try:
        yield
    except KeyboardInterrupt:
        if resume or not (folder / ABOUT).exists():
            raise  # the same command goes on
        raise Interrupted("interrupted; the same command with --resume goes on where it stopped") from None
