"""Where ratings live: listeners, their trials, the stimuli behind opaque tokens and the scores, in one SQL database.

SQLite beside the study by default (STUDY/ratings.sqlite, write-ahead log), any other database by SQLAlchemy URL. Each
public function of Store is one transaction, and no state is kept outside the database, so several workers can share it.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, or_, select
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.orm import Session, selectinload

from codec.errors import UserError
from mushra_app.allocation import allocate, is_full
from mushra_app.study import Study
from mushra_app.tables import SCHEMA_VERSION, Base, Listener, Rating, Setting, Stimulus, Trial

LEASE_SECONDS = 3600  # an unfinished trial of a listener seen less long ago counts as an annotation to come
SEEN_SECONDS = 60  # how exactly `Listener.seen` is kept: a write for every page would be waste
BUSY_SECONDS = 30  # how long a writer waits for another one in SQLite


@dataclass(frozen=True)
class Answer:
    """What a listener says about one stimulus."""

    score: int
    comment: str = ""


class RefusedError(Exception):
    """A submission that cannot be stored; the message is for the listener."""


class UnknownTrialError(RefusedError):
    """The trial is not one of this listener's."""


class AlreadyRatedError(RefusedError):
    """The trial is stored already, with other scores."""


class Store:
    """The database of one study."""

    def __init__(self, engine: Engine, study: Study) -> None:
        self._engine = engine
        self._study = study

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that holds SQLite's one write lock from its start, so that what it reads stays true."""
        engine = self._engine.execution_options(immediate=True)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def setting(self, name: str) -> str:
        """A value of the table `setting`."""
        with self.reading() as session:
            return session.get_one(Setting, name).value

    def is_full(self) -> bool:
        """Whether every item has its ratings, which closes the study to new listeners."""
        complete = select(Trial.item, func.count()).where(Trial.submitted.is_not(None)).group_by(Trial.item)
        with self.reading() as session:
            return is_full(self._study, dict(session.execute(complete).all()))

    def listener(self, key: str) -> Listener | None:
        """The listener with that key, with trials and stimuli; marks the listener as seen."""
        listener = self._load(key)
        if listener is not None and listener.seen < time.time() - SEEN_SECONDS:
            with self.writing() as session:
                session.get_one(Listener, listener.id).seen = time.time()
        return listener

    def enrol(self, key: str) -> Listener:
        """The listener with that key, made now, with trials assigned, unless there is one already."""
        with self.writing() as session:
            session.scalars(select(Setting).where(Setting.name == "schema_version").with_for_update()).one()
            if session.scalar(select(Listener).where(Listener.key == key)) is None:
                session.add(self._new_listener(key, self._annotations(session)))
        listener = self._load(key)
        assert listener is not None
        return listener

    def submit(self, listener_key: str, trial_key: str, answers: Mapping[str, Answer], seconds: float) -> None:
        """Store a whole trial, once: the same answers again change nothing.

        Args:
            answers: stimulus token -> answer, for every condition of the trial.

        Raises:
            UnknownTrialError: not a trial of this listener.
            AlreadyRatedError: stored before with different answers.
            RefusedError: answers are missing, or for other stimuli.
        """
        owned = select(Trial).join(Listener).where(Trial.key == trial_key, Listener.key == listener_key)
        with self.writing() as session:
            trial = session.scalar(owned.with_for_update(of=Trial))
            if trial is None:
                raise UnknownTrialError("This trial is not part of your session.")
            if set(answers) != {stimulus.token for stimulus in trial.conditions}:
                raise RefusedError("Every sound of the trial needs exactly one rating.")
            given = {stimulus.condition: answers[stimulus.token] for stimulus in trial.conditions}
            if trial.submitted is None:
                trial.ratings = [
                    Rating(condition=condition, score=answer.score, comment=answer.comment)
                    for condition, answer in given.items()
                ]
                trial.seconds = seconds
                trial.submitted = trial.listener.seen = time.time()
            elif given != {rating.condition: Answer(rating.score, rating.comment) for rating in trial.ratings}:
                raise AlreadyRatedError("This trial was already stored with other ratings.")

    def stimulus(self, listener_key: str, token: str) -> tuple[str, str] | None:
        """Item id and condition behind one of this listener's tokens; None for anybody else's."""
        owned = (
            select(Trial.item, Stimulus.condition)
            .select_from(Stimulus).join(Trial).join(Listener)
            .where(Stimulus.token == token, Listener.key == listener_key)
        )  # fmt: skip
        with self.reading() as session:
            found = session.execute(owned).one_or_none()
        return None if found is None else (found.item, found.condition)

    def _load(self, key: str) -> Listener | None:
        whole = select(Listener).where(Listener.key == key)
        with self.reading() as session:
            return session.scalar(whole.options(selectinload(Listener.trials).selectinload(Trial.stimuli)))

    def _annotations(self, session: Session) -> dict[str, int]:
        """Item id -> ratings it has or, from listeners who are still at work, is about to get."""
        at_work = Listener.seen > time.time() - LEASE_SECONDS
        counts = (
            select(Trial.item, func.count())
            .join(Listener).where(or_(Trial.submitted.is_not(None), at_work)).group_by(Trial.item)
        )  # fmt: skip
        return dict(session.execute(counts).all())

    def _new_listener(self, key: str, annotations: Mapping[str, int]) -> Listener:
        rng = random.SystemRandom()
        reference = self._study.hidden_reference.name
        listener = Listener(key=key, started=time.time(), seen=time.time())
        for position, item in enumerate(allocate(self._study, annotations, rng), start=1):
            conditions = [condition.name for condition in self._study.conditions]
            rng.shuffle(conditions)
            stimuli = [
                Stimulus(token=secrets.token_urlsafe(16), place=place, condition=condition)
                for place, condition in enumerate([reference, *conditions])
            ]
            trial_key = secrets.token_urlsafe(16)
            listener.trials.append(Trial(key=trial_key, item=item.id, position=position, stimuli=stimuli))
        return listener


def open_store(study: Study, folder: Path, url: str | None = None, *, create: bool = True) -> Store:
    """Open the database of the study in `folder`, by default STUDY/ratings.sqlite; make its tables if need be.

    Args:
        create: False refuses a default database that does not exist yet.

    Raises:
        UserError: the URL is wrong, its driver is missing, the database cannot be opened, or holds another study.
    """
    path = folder / "ratings.sqlite"
    if url is None and not create and not path.is_file():
        raise UserError(f"{folder}: nobody has taken this test yet; serve it with `earmark mushra serve {folder}`")
    try:
        parsed = URL.create("sqlite", database=str(path)) if url is None else make_url(url)
    except ArgumentError as error:
        raise UserError("--database: not a database URL; examples: sqlite:///ratings.sqlite, "
                        "postgresql+psycopg://user:password@host/name") from error  # fmt: skip
    shown = str(path) if url is None else f"--database {parsed.render_as_string(hide_password=True)}"
    try:
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = create_engine(parsed, pool_pre_ping=True)
        Base.metadata.create_all(engine)
        store = Store(engine, study)
        _settle_settings(store, study, shown)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(f"{shown}: the driver is missing ({error}); for PostgreSQL: pip install 'psycopg[binary]' "
                        "and postgresql+psycopg://...") from error  # fmt: skip
    except DBAPIError as error:
        raise UserError(f"{shown}: the database cannot be used ({error.orig})") from error
    return store


def _prepare_sqlite(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # transactions begin where _begin_sqlite says
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _settle_settings(store: Store, study: Study, shown: str) -> None:
    """Write the settings of a new database; refuse one of another schema or study."""
    fingerprint = _fingerprint(study)
    wanted = {"schema_version": SCHEMA_VERSION, "study": fingerprint, "secret_key": secrets.token_urlsafe(32)}
    try:
        with store.writing() as session:
            if session.get(Setting, "schema_version") is None:
                session.add_all(Setting(name=name, value=value) for name, value in wanted.items())
    except IntegrityError:
        pass  # another worker that starts at the same moment was first
    if store.setting("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{shown}: another version of Earmark made this database; use that version or a new database")
    if store.setting("study") != fingerprint:
        raise UserError(f"{shown}: holds the ratings of another study or an earlier build of this one; "
                        "keep it elsewhere or give another --database")  # fmt: skip


def _fingerprint(study: Study) -> str:
    """SHA-256 over what listeners hear: items, conditions and audio."""
    heard = {item.id: {name: stimulus.audio for name, stimulus in item.stimuli.items()} for item in study.items}
    return hashlib.sha256(json.dumps(heard, sort_keys=True).encode()).hexdigest()


def ratings(store: Store, study: Study) -> pd.DataFrame:
    """All complete trials, one row per rating.

    Returns:
        listener ("L0001", numbered as they came), item, category, condition, score (0 to 100), position (of the trial
        in the session, from 1), seconds (spent on the trial), submitted (ISO 8601, UTC), comment.
    """
    categories = {item.id: item.category for item in study.items}
    complete = (
        select(Trial.listener_id, Trial.item, Rating.condition, Rating.score,
               Trial.position, Trial.seconds, Trial.submitted, Rating.comment)
        .join(Rating, Rating.trial_id == Trial.id)
        .where(Trial.submitted.is_not(None))
        .order_by(Trial.listener_id, Trial.position, Rating.condition)
    )  # fmt: skip
    with store.reading() as session:
        rows = session.execute(complete).all()
    columns = ["listener", "item", "condition", "score", "position", "seconds", "submitted", "comment"]
    table = pd.DataFrame(rows, columns=columns)
    table["listener"] = [f"L{number:04d}" for number in table["listener"]]
    table["submitted"] = [
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") for seconds in table["submitted"]
    ]
    table.insert(2, "category", table["item"].map(categories))
    return table
