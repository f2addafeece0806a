"""Ratings are stored once, whole and for the right listener; items are shared out evenly."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from codec.errors import UserError
from mushra_app import store as stores
from mushra_app.allocation import allocate, is_full
from mushra_app.store import AlreadyRatedError, Answer, RefusedError, Store, UnknownTrialError, open_store, ratings
from mushra_app.study import Study
from mushra_app.study import load as load_study
from mushra_app.tables import Trial


@pytest.fixture
def study(study_folder: Path) -> Study:
    return load_study(study_folder)


@pytest.fixture
def store(study: Study, study_folder: Path) -> Store:
    return open_store(study, study_folder)


def answers_for(trial: Trial, score: int = 50) -> dict[str, Answer]:
    return {stimulus.token: Answer(score + place) for place, stimulus in enumerate(trial.conditions)}


def finish(store: Store, key: str) -> None:
    for trial in store.enrol(key).trials:
        store.submit(key, trial.key, answers_for(trial), 1.0)


def test_a_listener_gets_different_items_and_every_condition_in_each(study: Study, store: Store):
    listener = store.enrol("ada")
    assert [trial.position for trial in listener.trials] == [1, 2, 3]
    assert len({trial.item for trial in listener.trials}) == 3
    for trial in listener.trials:
        assert trial.reference.condition == "hidden-original"
        assert sorted(s.condition for s in trial.conditions) == sorted(c.name for c in study.conditions)


def test_enrolling_twice_is_enrolling_once(store: Store):
    assert [t.key for t in store.enrol("ada").trials] == [t.key for t in store.enrol("ada").trials]


def test_tokens_are_all_different(store: Store):
    tokens = [s.token for key in "abc" for trial in store.enrol(key).trials for s in trial.stimuli]
    assert len(set(tokens)) == len(tokens) == 3 * 3 * 5  # listeners x trials x (reference + 4 conditions)


def test_orders_are_random(study: Study, store: Store):
    """Of 24 orders of 4 conditions, 90 trials show nearly all: fewer than 15 has a chance below 1e-8."""
    orders = {tuple(s.condition for s in t.conditions) for k in range(30) for t in store.enrol(str(k)).trials}
    assert len(orders) >= 15


def test_what_is_submitted_is_what_is_read_back(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    scores = dict(zip((s.token for s in trial.conditions), (0, 33, 71, 100), strict=True))
    given = {token: Answer(score, f"sounds like {score}") for token, score in scores.items()}
    store.submit("ada", trial.key, given, 42.5)
    table = ratings(store, study)
    assert list(table.columns) == [
        "listener", "item", "category", "condition", "score", "position", "seconds", "submitted", "comment",
    ]  # fmt: skip
    expected = {s.condition: scores[s.token] for s in trial.conditions}
    assert dict(zip(table.condition, table.score, strict=True)) == expected
    assert (table.item == trial.item).all()
    assert (table.category == trial.item.split("-")[0]).all()
    assert (table.seconds == 42.5).all()
    assert (table.comment == [f"sounds like {score}" for score in table.score]).all()
    assert table.submitted.str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00").all()


def test_only_complete_trials_are_exported(study: Study, store: Store):
    first, *_ = store.enrol("ada").trials
    store.enrol("bob")
    assert ratings(store, study).empty
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert list(ratings(store, study).listener) == ["L0001"] * 4


def test_the_same_submission_again_changes_nothing(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    for seconds in (1.0, 2.0):
        store.submit("ada", trial.key, answers_for(trial), seconds)
    table = ratings(store, study)
    assert len(table) == 4
    assert (table.seconds == 1.0).all()


def test_another_submission_is_refused_and_the_first_kept(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    store.submit("ada", trial.key, answers_for(trial, 10), 1.0)
    with pytest.raises(AlreadyRatedError):
        store.submit("ada", trial.key, answers_for(trial, 20), 1.0)
    assert sorted(ratings(store, study).score) == [10, 11, 12, 13]


def test_a_trial_is_stored_whole_or_not_at_all(study: Study, store: Store):
    first, second, _ = store.enrol("ada").trials
    complete = answers_for(first)
    reference = {first.reference.token: Answer(100)}
    one_missing = dict(list(complete.items())[1:])
    for wrong in (one_missing, {}, complete | reference, one_missing | reference, answers_for(second)):
        with pytest.raises(RefusedError):
            store.submit("ada", first.key, wrong, 1.0)
    assert ratings(store, study).empty


def test_a_score_that_the_database_refuses_leaves_nothing_behind(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    with pytest.raises(Exception, match="CHECK constraint"):
        store.submit("ada", trial.key, answers_for(trial, 98), 1.0)  # 98, 99, 100, 101
    assert ratings(store, study).empty
    assert store.enrol("ada").open_trial.position == 1


def test_nobody_rates_or_hears_for_somebody_else(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    store.enrol("eve")
    for key in ("eve", "nobody", ""):
        with pytest.raises(UnknownTrialError):
            store.submit(key, trial.key, answers_for(trial), 1.0)
        assert store.stimulus(key, trial.reference.token) is None
    assert store.stimulus("ada", trial.reference.token) == (trial.item, "hidden-original")


def test_simultaneous_submissions_store_one(study: Study, store: Store):
    """Eight different submissions of one trial at once: one wins whole, seven are told so."""
    trial = store.enrol("ada").trials[0]
    barrier, refused = threading.Barrier(8), []

    def submit(score: int) -> None:
        barrier.wait()
        try:
            store.submit("ada", trial.key, answers_for(trial, score), 1.0)
        except AlreadyRatedError:
            refused.append(score)

    run_all(submit, range(10, 90, 10))
    scores = sorted(ratings(store, study).score)
    assert len(refused) == 7
    assert scores == [scores[0], scores[0] + 1, scores[0] + 2, scores[0] + 3]


def test_simultaneous_listeners_are_spread_evenly(tmp_path: Path, make_study):
    """Eight listeners of 3 trials among 4 items arrive at once: 24 assignments, 6 for each item exactly."""
    study = make_study(tmp_path, items=4, trials=3)
    store = open_store(study, tmp_path)
    run_all(lambda number: store.enrol(str(number)), range(8))
    assigned = Counter(trial.item for number in range(8) for trial in store.enrol(str(number)).trials)
    assert set(assigned.values()) == {6}


def run_all(function, arguments) -> None:
    threads = [threading.Thread(target=function, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_items_with_fewest_annotations_come_first(study: Study):
    few = {"speechlike-000": 3, "musical-001": 1, "speechlike-002": 2, "musical-003": 0}
    chosen = allocate(replace(study, trials_per_listener=2), few, random.Random(1))
    assert {item.id for item in chosen} == {"musical-003", "musical-001"}


@pytest.mark.parametrize("seed", range(20))
def test_ties_are_balanced_over_categories(study: Study, seed: int):
    """Two of four untouched items: always one of each category, though either one of it."""
    chosen = allocate(replace(study, trials_per_listener=2), {}, random.Random(seed))
    assert sorted(item.category for item in chosen) == ["musical", "speechlike"]


def test_ties_are_broken_by_chance(study: Study):
    one = replace(study, trials_per_listener=1)
    assert len({allocate(one, {}, random.Random(seed))[0].id for seed in range(100)}) == 4


def test_a_listener_of_a_small_study_gets_every_item_once(study: Study):
    chosen = allocate(replace(study, trials_per_listener=99), {}, random.Random(0))
    assert sorted(item.id for item in chosen) == sorted(item.id for item in study.items)


def test_listeners_at_work_count_until_their_lease_ends(
    store: Store, study_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ada holds 3 of 4 items, so Bob surely gets the fourth; an hour later Ada is forgotten and all are equal again."""
    held = {trial.item for trial in store.enrol("ada").trials}
    untouched = {item.id for item in load_study(study_folder).items} - held
    assert untouched < {trial.item for trial in store.enrol("bob").trials}
    with store.reading() as session:
        assert sum(store._annotations(session).values()) == 6
    late = stores.time.time() + stores.LEASE_SECONDS + 1
    monkeypatch.setattr(stores.time, "time", lambda: late)
    with store.reading() as session:
        assert store._annotations(session) == {}
    store.listener("ada")  # is back
    with store.reading() as session:
        assert set(store._annotations(session)) == held


def test_the_study_closes_when_every_item_has_its_ratings(tmp_path: Path, make_study):
    """4 items x 2 annotations, 2 trials a listener: 4 listeners fill it exactly, since work is spread evenly."""
    study = make_study(tmp_path, items=4, annotations=2, trials=2)
    store = open_store(study, tmp_path)
    for key in ("ada", "bob", "cid", "dan"):
        assert not store.is_full()
        finish(store, key)
    assert store.is_full()
    assert set(ratings(store, study).groupby("item").listener.nunique()) == {2}


def test_is_full_counts_every_item(study: Study):
    complete = {item.id: 2 for item in study.items}
    assert is_full(study, complete)
    assert not is_full(study, complete | {"musical-001": 1})
    assert not is_full(study, {"musical-001": 100})


def test_the_database_outlives_the_process(study: Study, study_folder: Path):
    first = open_store(study, study_folder)
    trial = first.enrol("ada").trials[0]
    first.submit("ada", trial.key, answers_for(trial), 1.0)
    second = open_store(study, study_folder)
    assert second.enrol("ada").open_trial.position == 2
    assert second.setting("secret_key") == first.setting("secret_key")
    assert len(ratings(second, study)) == 4


def test_sqlite_is_set_up_as_promised(store: Store, study_folder: Path):
    with store.reading() as session:
        pragma = {name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
                  for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")}  # fmt: skip
    # synchronous FULL (2): an acknowledged rating survives a power cut
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000, "synchronous": 2}
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        assert connection.execute("SELECT value FROM setting WHERE name = 'schema_version'").fetchone() == ("1",)


def test_another_schema_is_refused(store: Store, study: Study, study_folder: Path):
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.execute("UPDATE setting SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(UserError, match="another version of Earmark"):
        open_store(study, study_folder)


def test_ratings_of_another_study_are_refused(store: Store, study: Study, study_folder: Path):
    with pytest.raises(UserError, match="another study"):
        open_store(replace(study, items=study.items[:2]), study_folder)


def test_a_study_that_nobody_took_has_no_database_to_report(study: Study, study_folder: Path):
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
def test_a_database_that_cannot_be_opened_is_one_clear_line(study: Study, study_folder: Path, url: str, message: str):
    with pytest.raises(UserError, match=message) as raised:
        open_store(study, study_folder, url)
    assert "\n" not in str(raised.value)


def test_passwords_stay_out_of_messages(study: Study, study_folder: Path):
    with pytest.raises(UserError) as raised:
        open_store(study, study_folder, "nosuch://earmark:sesame@host/name")
    assert "sesame" not in str(raised.value)


def test_a_file_that_is_no_database_is_refused(study: Study, study_folder: Path):
    (study_folder / "ratings.sqlite").write_text("listener,item,score\n" * 100)
    with pytest.raises(UserError, match="file is not a database"):
        open_store(study, study_folder)


def test_a_folder_name_with_url_characters_is_only_a_name(tmp_path: Path, make_study):
    folder = tmp_path / "50% off? #1"
    open_store(make_study(folder), folder)
    assert (folder / "ratings.sqlite").is_file()
