"""Transactions of a study's database, and the settings that it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database.connection import queue_for
from earmark.mushra_app.database.tables import Setting


class Database:
    """A database whose tables are made; see mushra_app.database.connect."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._queue = queue_for(engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self, *, gate: bool = False) -> Iterator[Session]:
        """A transaction that holds SQLite's one write lock, elsewhere the gate if asked, so that reads stay true."""
        engine = self.engine.execution_options(immediate=True)
        turn = nullcontext() if self._queue is None else self._queue.turn()
        with turn, Session(engine, expire_on_commit=False) as session, session.begin():
            if gate:
                session.scalars(select(Setting).where(Setting.name == "schema_version").with_for_update()).one()
            yield session

    def setting(self, name: str, default: str | None = None) -> str:
        """A value of the table `setting`.

        Raises:
            KeyError: there is none, nor a default.
        """
        with self.reading() as session:
            found = session.get(Setting, name)
        if found is not None:
            return found.value
        if default is None:
            raise KeyError(name)
        return default

    def set(self, name: str, value: str) -> None:
        """Write a value of the table `setting`."""
        with self.writing(gate=True) as session:
            session.merge(Setting(name=name, value=value))
