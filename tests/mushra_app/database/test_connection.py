"""Opening databases, and refusing the wrong ones."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.tables import SCHEMA_VERSION
from earmark.mushra_app.study.study import Study
from tests.mushra_app.database.sessions import answers_for


def test_the_database_outlives_the_process(study: Study, study_folder: Path):
    first = open_store(study, study_folder)
    trial = first.enrol("ada").trials[0]
    first.submit("ada", trial.key, answers_for(trial), 1.0)
    second = open_store(study, study_folder)
    assert [step.done is None for step in second.listener("ada").steps] == [True, False, True, True]
    assert second.setting("secret_key") == first.setting("secret_key")
    assert len(second.ratings()) == 4


def test_sqlite_settings(store: Store, study_folder: Path):
    with store.reading() as session:
        pragma = {name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
                  for name in ("journal_mode", "foreign_keys", "busy_timeout")}  # fmt: skip
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        assert connection.execute("SELECT value FROM setting WHERE name = 'schema_version'").fetchone() == (
            SCHEMA_VERSION,
        )


def test_a_newer_schema_is_refused(store: Store, study: Study, study_folder: Path):
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.execute("UPDATE setting SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(UserError, match="newer Earmark made"):
        open_store(study, study_folder)


def test_ratings_of_another_study_are_refused(store: Store, study: Study, study_folder: Path):
    store.enrol("ada")
    with pytest.raises(UserError, match="another study"):
        open_store(replace(study, items=study.items[:2]), study_folder)


def test_a_study_that_nobody_took_has_no_database(study: Study, study_folder: Path):
    with pytest.raises(UserError, match="nobody has taken this test yet"):
        open_store(study, study_folder, create=False)
    assert not (study_folder / "ratings.sqlite").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not a database URL"),
        ("nosuch://host/name", "the driver is missing"),
        ("sqlite:////nonexistent/folder/ratings.sqlite", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_opened_is_reported(study: Study, study_folder: Path, url: str, message: str):
    with pytest.raises(UserError, match=message) as raised:
        open_store(study, study_folder, url)
    assert "\n" not in str(raised.value)


def test_passwords_stay_out_of_messages(study: Study, study_folder: Path):
    with pytest.raises(UserError) as raised:
        open_store(study, study_folder, "nosuch://earmark:sesame@host/name")
    assert "sesame" not in str(raised.value)


def test_a_file_that_is_not_a_database_is_refused(study: Study, study_folder: Path):
    (study_folder / "ratings.sqlite").write_text("listener,item,score\n" * 100)
    with pytest.raises(UserError, match="file is not a database"):
        open_store(study, study_folder)


def test_a_folder_name_with_url_characters_is_only_a_name(tmp_path: Path, make_study):
    folder = tmp_path / "50% off? #1"
    open_store(make_study(folder), folder)
    assert (folder / "ratings.sqlite").is_file()


def test_a_database_elsewhere_belongs_to_its_study_before_anybody_has_come(study: Study, study_folder: Path):
    """That study may be being served: its listeners would rate items that this one does not have."""
    url = f"sqlite:///{study_folder / 'elsewhere.sqlite'}"
    open_store(study, study_folder, url)
    with pytest.raises(UserError, match="another study"):
        open_store(replace(study, items=study.items[:1]), study_folder, url)
