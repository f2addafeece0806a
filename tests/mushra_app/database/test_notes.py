"""Notes of several threads share transactions, and each thread learns what became of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from earmark.mushra_app.database.notes import Notes
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Setting


class Transactions:
    """Transactions of a store's database, each of which waits until it may commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.begun = threading.Semaphore(0)
        self.may_commit = threading.Semaphore(0)
        self.committed = 0

    @contextmanager
    def __call__(self) -> Iterator[Session]:
        self.begun.release()
        with self._store.writing() as session:
            yield session
            assert self.may_commit.acquire(timeout=20)
        self.committed += 1


class Writer(threading.Thread):
    """Stores one setting as a note."""

    def __init__(self, notes: Notes, name: str) -> None:
        super().__init__()
        self._notes, self._setting = notes, name
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._notes.store(lambda now: insert(Setting).values(name=self._setting, value="x"))
        except Exception as error:
            self.error = error


def stored(store: Store) -> set[str]:
    with store.reading() as session:
        return set(session.scalars(select(Setting.name).where(Setting.value == "x")))


def started(notes: Notes, names: str, transactions: Transactions) -> list[Writer]:
    """One writer whose transaction has begun, and one for each further letter, which wait."""
    writers = [Writer(notes, name) for name in names]
    writers[0].start()
    assert transactions.begun.acquire(timeout=20)
    for writer in writers[1:]:
        writer.start()
    give_up = time.monotonic() + 20
    while len(notes._waiting) < len(names) - 1:
        assert time.monotonic() < give_up
        time.sleep(0.001)
    return writers


def test_notes_that_wait_share_a_transaction(store: Store):
    transactions = Transactions(store)
    writers = started(notes := Notes(transactions), "abcdef", transactions)
    assert stored(store) == set()
    transactions.may_commit.release()
    assert transactions.begun.acquire(timeout=20)
    assert all(writer.is_alive() for writer in writers[1:])  # until their transaction has committed
    assert stored(store) == {"a"}
    transactions.may_commit.release()
    for writer in writers:
        writer.join(20)
        assert writer.error is None
    assert stored(store) == set("abcdef")
    assert transactions.committed == 2
    assert notes._waiting == []


def test_a_note_that_fails_does_not_take_the_others_with_it(store: Store):
    """b is stored already, so that its note breaks the transaction that it shares with c and d."""
    with store.writing() as session:
        session.add(Setting(name="b", value="before"))
    transactions = Transactions(store)
    writers = started(Notes(transactions), "abcd", transactions)
    for _ in range(9):
        transactions.may_commit.release()
    for writer in writers:
        writer.join(20)
    assert [type(writer.error) for writer in writers] == [type(None), IntegrityError, type(None), type(None)]
    assert stored(store) == {"a", "c", "d"}


def test_the_caller_gets_the_error_of_its_note(store: Store):
    with store.writing() as session:
        session.add(Setting(name="a", value="before"))
    with pytest.raises(IntegrityError):
        store.notes.store(lambda now: insert(Setting).values(name="a", value="x"))
    store.notes.store(lambda now: insert(Setting).values(name="b", value="x"))
    assert stored(store) == {"b"}
