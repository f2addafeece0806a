"""The loop that every training runs in: interrupts, time limit, journal, validations and saved states."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from earmark.codec.errors import UserError, WriteError
from earmark.codec.training.distributed import maximum
from earmark.codec.training.interrupts import Interrupts
from earmark.codec.training.journal import WAITING, Journal
from earmark.codec.training.stopwatch import Stopwatch

SECONDS_PER_STATE = 600.0  # of a training whose recipe does not say

Batch = TypeVar("Batch")


class Training(Protocol[Batch]):
    """A training as the loop sees it.

    Attributes:
        total: updates of the whole training.
        every: updates from one validation to the next; the last update is followed by one too.
        seconds_per_state: longest time between two saved states.
        validates_when_stopped: whether a training that is interrupted or out of time is validated before it ends.
        journal: log of the training; None in all processes but the first, which alone validates and saves.
        stopwatch: measures where the time goes.
        finished: whether the training ends; the first process decides.
    """

    total: int
    every: int
    seconds_per_state: float
    validates_when_stopped: bool
    journal: Journal | None
    stopwatch: Stopwatch

    @property
    def updates(self) -> int:
        """Updates done, those of resumed parts included."""

    @property
    def finished(self) -> bool:
        """Whether no more updates are to be made."""

    def batches(self) -> Generator[Batch]:
        """Batches of the updates to come. Waiting for one can be interrupted."""

    def update(self, batch: Batch) -> Mapping[str, float | Tensor]:
        """Make one update and return its metrics."""

    def validate(self, last: bool) -> None:
        """Score the current weights, log the scores and export the model; at once, if no update follows."""

    def settle(self) -> None:
        """Complete what was begun by earlier calls, such as a validation whose scores are awaited."""

    def save(self) -> None:
        """Write everything that the next update depends on."""

    def keep(self) -> None:
        """Keep the state after this update too, if it is one of those to be kept."""


class _Stop(IntEnum):
    """Reasons to stop; processes that have different ones agree on the largest."""

    NO = 0
    FINISHED = 1
    TIME_IS_UP = 2
    INTERRUPTED = 3


class TrainingLoop(Generic[Batch]):
    """Runs a training until its last update, an interrupt or a time limit.

    Args:
        training: what to run.
        started: time.monotonic() when the time limit began to count.
        stop_after: seconds after which the training stops, though not before its first update. Default: no limit.
    """

    def __init__(self, training: Training[Batch], started: float, stop_after: float | None = None) -> None:
        self._training = training
        self._deadline = None if stop_after is None else started + stop_after
        self._first = training.updates
        self._saved = time.monotonic()
        self._validated = -1  # updates done at the last validation

    def run(self) -> bool:
        """Run the training.

        Returns:
            Whether the training is finished.

        Raises:
            KeyboardInterrupt: this process or another one was interrupted; the state is saved.
        """
        training, stop = self._training, _Stop.NO
        with Interrupts() as interrupts, contextlib.closing(training.batches()) as batches:
            while training.updates < training.total and not stop:
                with training.stopwatch(WAITING):
                    batch = interrupts.waiting_for(lambda: next(batches))
                stop = self._agree_to_stop(interrupted=batch is None)
                if stop or batch is None:
                    break
                metrics = training.update(batch)
                if training.journal is not None:
                    self._after_update(training.journal, metrics)
            if stop > _Stop.FINISHED and training.journal is not None:
                training.settle()
                self._save()
                if training.validates_when_stopped and self._validated != training.updates:
                    self._validate(last=True)
        if training.journal is not None:
            training.journal.close()
        if stop == _Stop.INTERRUPTED:
            raise KeyboardInterrupt
        return training.updates >= training.total or stop == _Stop.FINISHED

    def _agree_to_stop(self, interrupted: bool) -> _Stop:
        """The reason to stop before the next update. All processes agree on it, or the others would wait for ever."""
        late = self._deadline is not None and self._training.updates > self._first and time.monotonic() > self._deadline
        own = _Stop.INTERRUPTED if interrupted else _Stop.TIME_IS_UP if late else _Stop.NO
        if self._training.finished and own == _Stop.NO:
            own = _Stop.FINISHED
        return _Stop(maximum(own))

    def _after_update(self, journal: Journal, metrics: Mapping[str, float | Tensor]) -> None:
        training = self._training
        due = training.updates % training.every == 0 or training.updates == training.total
        try:
            journal.update(training.updates, metrics, training.stopwatch.seconds)
            if due:
                self._validate(last=training.updates == training.total)
        except UserError:
            # On a full disk the state may still fit in place of the previous one.
            with contextlib.suppress(WriteError):
                self._save()
            raise
        if due or time.monotonic() - self._saved > training.seconds_per_state:
            self._save()
        training.keep()

    def _validate(self, last: bool) -> None:
        self._training.validate(last)
        self._validated = self._training.updates

    def _save(self) -> None:
        self._training.save()
        self._saved = time.monotonic()
