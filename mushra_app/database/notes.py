"""Notes: small changes of many requests, such as the time a sound was fetched, that share transactions.

A trial page notes one change per sound. SQLite lets one transaction write at a time, and requests that each had their
own waited longer for the others than they computed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Executable
from sqlalchemy.orm import Session

from earmark.mushra_app.database import clock

Change = Callable[[clock.Now], Executable]  # the time -> a statement


@dataclass(eq=False)
class _Note:
    change: Change
    is_stored: bool = False


class Notes:
    """Commits together the notes of all threads that wait while an earlier transaction runs.

    Args:
        transaction: opens a transaction that commits at the end of its block.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Session]]) -> None:
        self._transaction = transaction
        self._turn = threading.Lock()  # held while a transaction runs
        self._guard = threading.Lock()  # of _waiting
        self._waiting: list[_Note] = []

    def store(self, change: Change) -> None:
        """Execute a change; returns when it is committed.

        If a shared transaction fails, its other notes are stored one by one, so that each thread gets its own error.
        """
        note = _Note(change)
        with self._guard:
            self._waiting.append(note)
        with self._turn:
            if not note.is_stored:
                self._commit(self._batch_with(note))

    def _batch_with(self, note: _Note) -> list[_Note]:
        """All notes that wait; only this one if its shared transaction has failed."""
        with self._guard:
            if note not in self._waiting:
                return [note]
            batch, self._waiting = self._waiting, []
        return batch

    def _commit(self, batch: list[_Note]) -> None:
        with self._transaction() as session:
            now = clock.expression(session)
            for note in batch:
                session.execute(note.change(now), execution_options={"synchronize_session": False})
        for note in batch:
            note.is_stored = True
