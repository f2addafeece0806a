"""Audio that changes under its name is noticed, and its ratings are not mixed with those of the new audio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import delete

from earmark.codec.errors import UserError
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Setting
from earmark.mushra_app.web import Options, create_app
from tests.mushra_app.database.sessions import enter, finish


def serve(folder: Path, **options: object) -> Store:
    return create_app(folder, Options(**options)).extensions["earmark"].store


@pytest.fixture
def rated(make_study, tmp_path: Path) -> Path:
    """One item of four conditions, rated by three listeners: 12 ratings, 3 of each stimulus."""
    make_study(tmp_path, items=1, annotations=3, trials=1)
    store = serve(tmp_path)
    for key in ("ada", "bob", "cid"):
        finish(store, key)
    assert len(store.ratings()) == 12
    return tmp_path


def replace_one(folder: Path) -> None:
    """Give the stimulus of opus@6 other samples; name, length and header stay."""
    path = folder / "audio" / "000002f00d.wav"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def test_rated_audio_that_changed_is_refused_with_names_and_counts(rated: Path):
    replace_one(rated)
    with pytest.raises(
        UserError, match=r"changed since it was rated: speechlike-000 in opus@6 \(3 ratings\); .*--retire"
    ):
        serve(rated)
    assert len(Store.ratings(serve_old(rated))) == 12


def serve_old(folder: Path) -> Store:
    """The database as a report opens it, which needs no audio."""
    from earmark.mushra_app.database.store import open_store
    from earmark.mushra_app.study.study import load

    return open_store(load(folder), folder, create=False)


def test_ratings_can_be_retired_and_their_items_are_offered_again(rated: Path):
    """All 12 ratings of the trials retire, since their listeners compared the four stimuli with each other."""
    before = serve(rated).setting("study_version")
    replace_one(rated)
    store = serve(rated, retire_ratings=True)
    assert store.ratings().empty
    assert store.status().state == "open"
    assert store.setting("study_version") != before
    assert len(enter(store, "dan")) == 1
    serve(rated)  # accepted from now on


def test_audio_that_nobody_rated_may_change(make_study, tmp_path: Path):
    make_study(tmp_path, items=1, annotations=3, trials=1)
    enter(serve(tmp_path), "ada")
    replace_one(tmp_path)
    serve(tmp_path)


def test_a_database_that_knows_no_content_takes_what_is_there(rated: Path):
    store = serve(rated)
    with store.writing() as session:
        session.execute(delete(Setting).where(Setting.name.in_(["stimuli", "study_version"])))
    content = json.loads(serve(rated).setting("stimuli"))
    assert content.keys() == {"speechlike-000"}
    assert {len(digest) for digest in content["speechlike-000"].values()} == {64}


def test_exports_name_study_and_version(rated: Path):
    store = serve(rated)
    table = store.ratings()
    assert set(table["study"]) == {store.setting("study_id")}
    assert set(table["study_version"]) == {store.setting("study_version")}
    assert table["listener"].str.endswith(f"-{store.setting('study_id')}").all()


def test_listeners_of_two_studies_have_different_names(make_study, tmp_path: Path):
    names = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        make_study(folder)
        store = serve(folder)
        finish(store, "ada")
        names += store.ratings()["listener"].unique().tolist()
    assert len(set(names)) == 2
