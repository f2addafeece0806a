"""Opening the database of a study: STUDY/ratings.sqlite (write-ahead log), or any other by its SQLAlchemy URL."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from earmark.codec.errors import UserError
from earmark.codec.extras import pip_install
from earmark.mushra_app.database.labels import new_study_id
from earmark.mushra_app.database.migrations import can_migrate, migrate
from earmark.mushra_app.database.tables import SCHEMA_VERSION, Base, Listener, Setting
from earmark.mushra_app.study.study import Study

BUSY_SECONDS = 30  # how long SQLite waits for another writer
OPEN_CONNECTIONS, MOST_CONNECTIONS = 5, 24  # of one process to a server; a worker has as many threads
TRUSTED_SECONDS = 1.0  # since its last use, within which a connection to a server counts as alive


def connect(study: Study, folder: Path, url: str | None, *, create: bool) -> Engine:
    """Open the database of a study; create or migrate its tables if necessary.

    Args:
        url: SQLAlchemy URL; None for STUDY/ratings.sqlite.
        create: whether STUDY/ratings.sqlite may be created.

    Raises:
        UserError: if the URL is wrong, its driver is missing, the database cannot be opened, or it belongs to another
            study.
    """
    path = folder / "ratings.sqlite"
    if url is None and not create and not path.is_file():
        raise UserError(f"{folder}: nobody has taken this test yet; serve it with `earmark study serve {folder}`")
    try:
        parsed = URL.create("sqlite", database=str(path)) if url is None else make_url(url)
    except ArgumentError as error:
        raise UserError("--database: not a database URL; examples: sqlite:///ratings.sqlite, "
                        "postgresql+psycopg://user:password@host/name") from error  # fmt: skip
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        _make_private(Path(str(parsed.database)))
    shown = str(path) if url is None else f"--database {parsed.render_as_string(hide_password=True)}"
    try:
        engine = _engine(parsed)
        with engine.execution_options(immediate=True).begin() as connection:
            _prepare(connection, study, shown, own=url is None)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(f"{shown}: the driver is missing ({error}); for PostgreSQL, run `{pip_install('server')}` "
                        "and write postgresql+psycopg://...") from error  # fmt: skip
    except DBAPIError as error:
        raise UserError(f"{shown}: the database cannot be used ({error.orig})") from error
    return engine


def has_listeners(folder: Path) -> bool:
    """Whether anybody has started a session of the study in `folder`, according to STUDY/ratings.sqlite.

    Raises:
        UserError: if that file is not a database.
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
    exists = inspect(connection).has_table(Listener.__tablename__)
    return exists and connection.scalar(select(Listener.id).limit(1)) is not None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        engine = create_engine(url, pool_size=OPEN_CONNECTIONS, max_overflow=MOST_CONNECTIONS - OPEN_CONNECTIONS)
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", _check_after_pause)
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _set_up_postgresql)
        return engine
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Create a file that only its owner can read, since it holds secrets and people's ids; SQLite's WAL takes its mode.

    An existing file keeps its mode; `readable_by_others` finds it.
    """
    with suppress(OSError):  # the engine reports it better
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def readable_by_others(engine: Engine) -> list[Path]:
    """Files of an SQLite database that other users of this machine can read or change."""
    if engine.dialect.name != "sqlite" or engine.url.database in (None, "", ":memory:") or os.name != "posix":
        return []
    paths = [Path(f"{engine.url.database}{suffix}") for suffix in ("", "-wal", "-shm", "-journal", "-queue")]
    return [path for path in paths if path.is_file() and path.stat().st_mode & 0o077]


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _check_after_pause(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Let the pool open a new connection instead of one that the server has closed meanwhile, for example by a restart.

    pool_pre_ping asks the server each time a connection is taken, several times for each request.
    """
    used = record.info.get("used")
    if used is not None and time.monotonic() - used < TRUSTED_SECONDS:
        return
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.close()
        connection.rollback()
    except Exception as error:  # of any driver
        raise InvalidatePoolError from error


def _set_up_postgresql(connection: Any, _: object) -> None:
    """Switch off just-in-time compilation: it takes 0.1 s for queries of 0.01 s, as those of the admin page are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'jit'")
    connection.commit()


def _set_up_sqlite(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # transactions begin in _begin_sqlite
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("immediate", False):
        connection.exec_driver_sql("BEGIN")
        return
    # Set for each transaction, since connections are shared; see Database.
    connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if options.get('relaxed') else 'FULL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare(connection: Connection, study: Study, shown: str, *, own: bool) -> None:
    """Create or migrate the tables, one process at a time; refuse a database of another study or a newer version.

    Args:
        shown: how messages name the database.
        own: whether it is STUDY/ratings.sqlite. Before anybody has taken part, that one is adopted by a study that is
            built again, with password and settings. Any other database may belong to a study that is being served.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0xEA12})
    current = fingerprint(study)
    exists = inspect(connection).has_table(Setting.__tablename__)
    settings: dict[str, str] = dict(connection.execute(select(Setting.name, Setting.value)).all()) if exists else {}
    if not settings:
        Base.metadata.create_all(connection)
        settings = {
            "schema_version": SCHEMA_VERSION, "study": current, "secret_key": secrets.token_urlsafe(32),
            "study_id": new_study_id(), "last_listener": "0",
        }  # fmt: skip
        connection.execute(insert(Setting), [{"name": name, "value": value} for name, value in settings.items()])
    if settings["study"] != current:
        if not own or _has_listeners(connection):
            raise UserError(f"{shown}: holds the ratings of another study or an earlier build of this one; "
                            "keep it elsewhere or give another --database")  # fmt: skip
        connection.execute(update(Setting).where(Setting.name == "study").values(value=current))
    if settings["schema_version"] != SCHEMA_VERSION:
        if not can_migrate(settings["schema_version"]):
            raise UserError(f"{shown}: a newer Earmark made this database; use that or a new database")
        migrate(connection, settings["schema_version"])


def fingerprint(study: Study) -> str:
    """SHA-256 of the study's items, conditions and audio files."""
    heard = {item.id: {name: stimulus.audio for name, stimulus in item.stimuli.items()} for item in study.items}
    return hashlib.sha256(json.dumps(heard, sort_keys=True).encode()).hexdigest()
