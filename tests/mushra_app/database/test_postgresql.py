"""The store on a real PostgreSQL server, started by these tests; skipped if PostgreSQL is not installed."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database import connection as connections
from earmark.mushra_app.database.refusals import AlreadyRatedError, NotOpenError, TookPartError
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import SCHEMA_VERSION, Setting, Trial
from earmark.mushra_app.study.crowd import Arrival
from earmark.mushra_app.study.study import Study
from tests.mushra_app.database.sessions import enter

VERSION_1 = Path(__file__).parent / "data" / "database-version-1.sql"


@pytest.fixture
def url(postgresql: str) -> str:
    """An empty database."""
    return postgresql


@pytest.fixture
def store(url: str, tmp_path: Path, make_study: Callable[..., Study]) -> Store:
    """4 items that need 6 ratings each, 3 trials per listener: 24 ratings from 8 listeners."""
    return open_store(make_study(tmp_path, items=4, annotations=6, trials=3), tmp_path, url, rule="paper")


def answers_for(trial: Trial, score: int) -> dict[str, Answer]:
    return {stimulus.token: Answer(score) for stimulus in trial.conditions}


def at_once(function: Callable[[int], object], count: int) -> list[object]:
    """Call `function` with 0, 1, ... in threads that start together; returns results and exceptions."""
    barrier, results = threading.Barrier(count), []

    def run(number: int) -> None:
        barrier.wait()
        try:
            results.append(function(number))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_simultaneous_listeners_lease_each_rating_once(store: Store):
    """24 ratings for 10 listeners who begin at once: all are leased, none twice; somebody gets none, or is refused."""

    def begin(number: int) -> str:
        store.enrol(str(number))
        return store.begin(str(number)).state

    results = at_once(begin, 10)
    enrolled = [one for number in range(10) if (one := store.listener(str(number)))]
    leased = Counter(trial.item for one in enrolled if one.begun for trial in one.trials)
    assert set(leased.values()) == {6}
    assert sum(isinstance(result, NotOpenError) or result == "not begun" for result in results) >= 1


def test_one_person_in_several_browsers_is_one_listener(store: Store):
    results = at_once(lambda number: store.enrol(str(number), Arrival("prolific", "5f00", "visit")), 4)
    assert sum(isinstance(result, TookPartError) for result in results) == 3


def test_simultaneous_submissions_store_one(store: Store):
    trial = store.enrol("ada").trials[0]
    results = at_once(lambda number: store.submit("ada", trial.key, answers_for(trial, 10 * number), 1.0), 8)
    assert sum(isinstance(result, AlreadyRatedError) for result in results) == 7
    table = store.ratings()
    assert (len(table), table.score.nunique()) == (4, 1)


def test_a_whole_study(store: Store):
    """Eight listeners complete it. All rate everything 95, even the low anchor, so the rule drops them all."""
    trials = [enter(store, str(number)) for number in range(8)]
    for number in range(8):
        for trial in trials[number]:
            store.submit(str(number), trial.key, answers_for(trial, 95), 1.0)
        store.complete(str(number), store.listener(str(number)).open_step.key, None)
    assert store.status().state == "complete"
    store.screen_ended_sessions()
    assert store.status().state == "open"
    assert store.ratings().excluded.str.contains("low anchor above 80").all()


def test_the_admin_page_s_password(store: Store):
    secret = admin_access.sign_in(store, admin_access.new_password(store), "203.0.113.1")
    assert admin_access.form_token(store, secret) is not None
    assert admin_access.sign_in(store, "guess", "203.0.113.1") is None


def test_workers_that_start_at_once_make_one_database(url: str, tmp_path: Path, make_study: Callable[..., Study]):
    study = make_study(tmp_path)
    results = at_once(lambda number: open_store(study, tmp_path, url).setting("secret_key"), 4)
    assert len(set(results)) == 1
    assert isinstance(results[0], str)


def test_a_database_of_version_1_is_migrated(url: str, tmp_path: Path, make_study: Callable[..., Study]):
    dump = VERSION_1.read_text(encoding="utf-8").replace("DOUBLE", "DOUBLE PRECISION")
    dump = re.sub(r",\s+FOREIGN KEY.*", "", dump)  # SQLite's dump refers to tables before it creates them
    with create_engine(url).begin() as connection:
        for statement in dump.split(";\n"):
            if statement.strip() and not statement.startswith(("BEGIN", "COMMIT")):
                connection.execute(text(statement.replace(":", r"\:")))
    store = open_store(make_study(tmp_path), tmp_path, url)
    assert store.setting("schema_version") == SCHEMA_VERSION
    assert sorted(store.ratings().score)[:4] == [10, 11, 12, 20]
    assert store.enrol("cid").id == 3  # the id sequence continues after the copied rows


def test_json_is_stored_as_readable_text(store: Store, url: str):
    """Columns are VARCHAR, as in every database since version 2."""
    store.enrol("ada", Arrival("mturk", "W1", "A1", {"workerId": "W1"}))
    store.complete("ada", store.listener("ada").open_step.key, {"name": "Zoë"})
    with create_engine(url).connect() as connection:
        stored = connection.execute(text("SELECT arrival, answer, pg_typeof(answer)::text FROM listener, step "
                                         "WHERE step.position = 1")).one()  # fmt: skip
    assert tuple(stored) == ('{"workerId": "W1"}', '{"name": "Zo\\u00eb"}', "character varying")
    assert store.listener("ada").steps[0].answer == {"name": "Zoë"}


def test_connections_that_the_server_has_closed_are_replaced(store: Store, url: str, monkeypatch: pytest.MonkeyPatch):
    """As after a restart of the server, when the pool holds several connections to the old one."""
    at_once(lambda number: store.enrol(str(number)), 4)
    with create_engine(url).connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                "WHERE datname = current_database() AND pid <> pg_backend_pid()"))  # fmt: skip
    monkeypatch.setattr(connections, "TRUSTED_SECONDS", 0.0)  # as if the last request had been longer ago
    assert store.listener("0") is not None
    assert not [one for one in at_once(lambda number: store.listener(str(number)), 4) if isinstance(one, Exception)]


def test_reading_sends_the_query_only(store: Store, monkeypatch: pytest.MonkeyPatch):
    """No transaction around it, and no question whether the server is there, since it was a moment ago."""
    store.listener("nobody")
    with store.reading() as session:
        connection = session.connection().connection.driver_connection
        assert session.get(Setting, "secret_key") is not None
        assert connection.info.transaction_status.name == "IDLE"
    monkeypatch.setattr(connection, "execute", None)
    monkeypatch.setattr(connection, "cursor", None)
    with store.reading() as session:  # the same connection is taken again
        assert session.connection().connection.driver_connection is connection
