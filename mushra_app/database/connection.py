"""Opening the database of a study: SQLite beside it (write-ahead log) or any other by SQLAlchemy URL; its settings."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from earmark.codec.errors import UserError
from earmark.mushra_app.database.migrations import can_migrate, migrate
from earmark.mushra_app.database.tables import SCHEMA_VERSION, Base, Listener, Setting
from earmark.mushra_app.study.study import Study

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BUSY_SECONDS = 30  # how long a writer waits for another one in SQLite


def connect(study: Study, folder: Path, url: str | None, *, create: bool) -> Engine:
    """The engine of the study's database, made or migrated if need be.

    Raises:
        UserError: the URL is wrong, its driver is missing, the database cannot be opened, or holds another study.
    """
    path = folder / "ratings.sqlite"
    if url is None and not create and not path.is_file():
        raise UserError(f"{folder}: nobody has taken this test yet; serve it with `earmark study serve {folder}`")
    try:
        parsed = URL.create("sqlite", database=str(path)) if url is None else make_url(url)
    except ArgumentError as error:
        raise UserError("--database: not a database URL; examples: sqlite:///ratings.sqlite, "
                        "postgresql+psycopg://user:password@host/name") from error  # fmt: skip
    shown = str(path) if url is None else f"--database {parsed.render_as_string(hide_password=True)}"
    try:
        engine = _engine(parsed)
        with engine.execution_options(immediate=True).begin() as connection:
            _prepare(connection, study, shown, own=url is None)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(f"{shown}: the driver is missing ({error}); for PostgreSQL: pip install 'earmark[server]' "
                        "and postgresql+psycopg://...") from error  # fmt: skip
    except DBAPIError as error:
        raise UserError(f"{shown}: the database cannot be used ({error.orig})") from error
    return engine


def has_listeners(folder: Path) -> bool:
    """Whether anybody has begun a session of the study in `folder`, by its own database, STUDY/ratings.sqlite.

    Raises:
        UserError: that is no database.
    """
    path = folder / "ratings.sqlite"
    if not path.is_file():
        return False
    engine = _engine(URL.create("sqlite", database=str(path)))
    try:
        with engine.connect() as connection:
            return _has_listeners(connection)
    except DBAPIError as error:
        raise UserError(f"{path}: the database cannot be used ({error.orig})") from error
    finally:
        engine.dispose()


def _has_listeners(connection: Connection) -> bool:
    made = inspect(connection).has_table(Listener.__tablename__)
    return made and connection.scalar(select(Listener.id).limit(1)) is not None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # transactions begin where _begin_sqlite says
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


class Queue:
    """Where writers of one SQLite file wait for each other, threads and processes, before they ask SQLite.

    SQLite itself makes a writer that finds the file locked look again after pauses of up to 0.1 s; here the next one
    goes on at once. A process that dies leaves the queue. Correctness does not hang on it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._open_in: tuple[int, int] | None = None  # process, file descriptor: not shared with forked workers

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and keep it while the block runs."""
        if fcntl is None:
            yield
            return
        with self._thread:
            if self._open_in is None or self._open_in[0] != os.getpid():
                self._open_in = os.getpid(), os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._open_in[1], fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._open_in[1], fcntl.LOCK_UN)


def queue_for(engine: Engine) -> Queue | None:
    """The queue of an SQLite file's writers; None for databases that have their own."""
    if engine.dialect.name != "sqlite" or engine.url.database in (None, "", ":memory:"):
        return None
    return Queue(Path(f"{engine.url.database}-queue"))


def _prepare(connection: Connection, study: Study, shown: str, *, own: bool) -> None:
    """Make or migrate the tables, one process at a time; refuse a database of another schema or study.

    The study's own database goes with it, password and ways in, when the study is built again before anybody came.
    Another one may be that of a study that is being served.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0xEA12})
    fingerprint = _fingerprint(study)
    made = inspect(connection).has_table(Setting.__tablename__)
    found: dict[str, str] = dict(connection.execute(select(Setting.name, Setting.value)).all()) if made else {}
    if not found:
        Base.metadata.create_all(connection)
        found = {"schema_version": SCHEMA_VERSION, "study": fingerprint, "secret_key": secrets.token_urlsafe(32)}
        connection.execute(insert(Setting), [{"name": name, "value": value} for name, value in found.items()])
    if found["study"] != fingerprint and own and not _has_listeners(connection):
        connection.execute(update(Setting).where(Setting.name == "study").values(value=fingerprint))
    elif found["study"] != fingerprint:
        raise UserError(f"{shown}: holds the ratings of another study or an earlier build of this one; "
                        "keep it elsewhere or give another --database")  # fmt: skip
    if found["schema_version"] != SCHEMA_VERSION:
        if not can_migrate(found["schema_version"]):
            raise UserError(f"{shown}: a newer Earmark made this database; use that or a new database")
        migrate(connection, found["schema_version"])


def _fingerprint(study: Study) -> str:
    """SHA-256 over what listeners hear: items, conditions and audio."""
    heard = {item.id: {name: stimulus.audio for name, stimulus in item.stimuli.items()} for item in study.items}
    return hashlib.sha256(json.dumps(heard, sort_keys=True).encode()).hexdigest()
