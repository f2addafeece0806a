"""Transactions of a study's database, and the settings that it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from earmark.mushra_app.database.notes import Notes
from earmark.mushra_app.database.tables import Setting
from earmark.mushra_app.database.write_queue import queue_for


class Database:
    """A database whose tables exist; see connection.connect.

    Attributes:
        notes: stores what a power cut may lose, such as the time of a request.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._queue = queue_for(engine)
        self.notes = Notes(self._noting)
        is_sqlite = engine.dialect.name == "sqlite"
        self._reader = engine if is_sqlite else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = engine.execution_options(immediate=True)
        self._relaxed_writer = engine.execution_options(immediate=True, relaxed=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that reads.

        In SQLite it sees one state of the database. Elsewhere each query sees the newest, and needs no transaction,
        which would cost two more messages to the server.
        """
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _noting(self) -> Iterator[Session]:
        """Open a transaction for what a power cut may lose.

        It does not wait for the disk: SQLite writes it there with the next other transaction, PostgreSQL soon after.
        """
        with self._transaction(relaxed=True) as session:
            if self.engine.dialect.name == "postgresql":
                session.execute(text("SET LOCAL synchronous_commit TO OFF"))
            yield session

    @contextmanager
    def writing(self, *, exclusive: bool = False) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block, and is on the disk then.

        SQLite runs one writing transaction at a time. Elsewhere writers run in parallel.

        Args:
            exclusive: wait for all other exclusive transactions, so that a count of leases stays valid to the end.
        """
        with self._transaction(relaxed=self._queue is not None) as session:
            if exclusive:
                session.scalars(select(Setting).where(Setting.name == "schema_version").with_for_update()).one()
            yield session
        if self._queue is not None:
            self._queue.to_disk()

    @contextmanager
    def _transaction(self, *, relaxed: bool) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block.

        Args:
            relaxed: whether SQLite does not wait for the disk; other databases take no notice.
        """
        turn = nullcontext() if self._queue is None else self._queue.turn()
        engine = self._relaxed_writer if relaxed else self._writer
        with turn, Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def setting(self, name: str, default: str | None = None) -> str:
        """Return a value of the table `setting`.

        Raises:
            KeyError: if there is neither a value nor a default.
        """
        with self.reading() as session:
            setting = session.get(Setting, name)
        if setting is not None:
            return setting.value
        if default is None:
            raise KeyError(name)
        return default

    def set(self, name: str, value: str) -> None:
        """Write a value of the table `setting`."""
        with self.writing(exclusive=True) as session:
            session.merge(Setting(name=name, value=value))
