"""A database as version 1 wrote it is migrated."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.database import migrations
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import SCHEMA_VERSION
from earmark.mushra_app.study.crowd import Arrival
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.study.study import load as load_study

VERSION_1 = Path(__file__).parent / "data" / "database-version-1.sql"  # Ada rated 3 of 3 trials, Bob 1 of 3


@pytest.fixture
def study(study_folder: Path) -> Study:
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    return load_study(study_folder)


@pytest.fixture
def store(study: Study, study_folder: Path) -> Store:
    return open_store(study, study_folder)


def rows(folder: Path, query: str) -> list[tuple]:
    with sqlite3.connect(folder / "ratings.sqlite") as connection:
        return connection.execute(query).fetchall()


# Columns of version 1.
EVERYTHING = {
    "listener": "SELECT id, key, started, seen FROM listener ORDER BY id",
    "trial": "SELECT id, key, listener_id, item, position, seconds, submitted FROM trial ORDER BY id",
    "stimulus": "SELECT token, trial_id, place, condition FROM stimulus ORDER BY token",
    "rating": "SELECT trial_id, condition, score, comment FROM rating ORDER BY trial_id, condition",
    "setting": "SELECT name, value FROM setting WHERE name IN ('secret_key', 'study') ORDER BY name",
}


def test_nothing_is_lost(study: Study, study_folder: Path):
    before = {name: rows(study_folder, query) for name, query in EVERYTHING.items()}
    open_store(study, study_folder)
    assert {name: rows(study_folder, query) for name, query in EVERYTHING.items()} == before
    assert len(before["rating"]) == 16
    assert rows(study_folder, "SELECT value FROM setting WHERE name = 'schema_version'") == [(SCHEMA_VERSION,)]
    assert rows(study_folder, "PRAGMA foreign_key_check") == []


def test_ratings_are_unchanged(store: Store, study: Study):
    table = store.ratings()
    ada = table[table.listener.str.startswith("L0001-")]
    assert sorted(ada.score) == [10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42]
    assert list(table.comment).count("näselnd") == 3
    assert set(table[table.listener.str.startswith("L0002-")].score) == {50}


def test_listeners_continue_where_they_were(store: Store):
    assert store.listener("ada").open_step is None
    bob = store.enrol("bob")
    assert bob.open_step.trial_id == bob.trials[1].id
    for trial in bob.trials[1:]:
        store.submit("bob", trial.key, {stimulus.token: Answer(70) for stimulus in trial.conditions}, 1.0)
    store.screen_ended_sessions()
    assert {store.listener(key).state for key in ("ada", "bob")} == {"finished"}
    assert store.enrol("cid").id == 3


def test_it_is_done_once(store: Store, study: Study, study_folder: Path):
    steps = rows(study_folder, "SELECT * FROM step")
    open_store(study, study_folder)
    assert rows(study_folder, "SELECT * FROM step") == steps


def test_a_failed_migration_changes_nothing(study: Study, study_folder: Path, monkeypatch: pytest.MonkeyPatch):
    before = list(sqlite3.connect(study_folder / "ratings.sqlite").iterdump())

    def broken(rows: migrations.Rows) -> None:
        migrations._from_1(rows)
        rows["rating"][-1]["score"] = 101

    monkeypatch.setattr(migrations, "CHANGES", {**migrations.CHANGES, "1": broken})
    with pytest.raises(UserError, match="cannot be used"):
        open_store(study, study_folder)
    assert list(sqlite3.connect(study_folder / "ratings.sqlite").iterdump()) == before


VERSION_3 = Path(__file__).parent / "data" / "database-version-3.sql"  # one listener, who rated 1 of 3 trials


def test_a_database_of_version_3_is_migrated(study_folder: Path):
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.executescript(VERSION_3.read_text(encoding="utf-8"))
    before = {name: rows(study_folder, query) for name, query in EVERYTHING.items()}
    (key,) = (row[1] for row in before["listener"])
    store = open_store(load_study(study_folder), study_folder)
    assert {name: rows(study_folder, query) for name, query in EVERYTHING.items()} == before
    table = store.ratings()
    assert sorted(table["score"]) == [50, 51, 52, 53]
    assert table["plays"].isna().all()
    listener = store.listener(key)
    assert listener.device == {}
    assert listener.open_step.position == 3  # after the volume page and the first trial


# JSON columns


def test_json_is_stored_as_readable_text(study_folder: Path):
    """As every version of Earmark since 2 has stored it, in columns that SQL clients show as text."""
    store = open_store(load_study(study_folder), study_folder)
    store.enrol("ada", Arrival("mturk", "W1", "A1", {"workerId": "W1", "hitId": "H"}))
    store.complete("ada", store.listener("ada").open_step.key, {"name": "Zoë", "points": [1, 2.5]})
    assert rows(study_folder, "SELECT arrival FROM listener") == [('{"workerId": "W1", "hitId": "H"}',)]
    assert rows(study_folder, "SELECT settings, answer, typeof(answer) FROM step WHERE position < 3") == [
        ("{}", '{"name": "Zo\\u00eb", "points": [1, 2.5]}', "text"),
        ("{}", None, "null"),
    ]
    types = rows(study_folder, "SELECT type FROM pragma_table_info('step') WHERE name IN ('settings', 'answer')")
    assert types == [("VARCHAR",), ("VARCHAR",)]


def test_json_of_earlier_versions_is_read(study_folder: Path):
    """They wrote the text `null` as the answer of a page that asks for nothing."""
    store = open_store(load_study(study_folder), study_folder)
    store.enrol("ada")
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.execute('UPDATE listener SET arrival = \'{"workerId": "W1"}\'')
        connection.execute("UPDATE step SET settings = '{\"band\": 4}', answer = 'null', done = 1.0 WHERE position = 1")
    listener = store.listener("ada")
    assert listener.arrival == {"workerId": "W1"}
    assert (listener.steps[0].settings, listener.steps[0].answer) == ({"band": 4}, None)
    assert listener.open_step.position == 2


def test_earlier_versions_get_the_indexes_and_columns_of_new_ones(study: Study, study_folder: Path, tmp_path: Path):
    """Version 1 becomes what a new database is; a listener who was judged before keeps the verdict."""
    store = open_store(study, study_folder)
    new = tmp_path / "new"
    new.mkdir()
    open_store(study, new)
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    assert rows(study_folder, schema) == rows(new, schema)
    assert {name for kind, name, _ in rows(new, schema)} >= {"ix_trial_rated", "ix_step_open", "ix_listener_leases"}
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.execute("UPDATE listener SET judged = 9e9, excluded = 'too low', excluded_by = 'screening', "
                           "flags = NULL, state = 'finished' WHERE id = 1")  # fmt: skip
    store.screen_ended_sessions()
    assert rows(study_folder, "SELECT excluded, excluded_by, flags FROM listener WHERE id = 1") == [
        ("too low", "screening", "")
    ]
