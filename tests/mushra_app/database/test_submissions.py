"""Ratings are stored once, completely, and for the right listener."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from earmark.mushra_app.database.refusals import (
    AlreadyRatedError,
    RefusedError,
    SessionOverError,
    UnknownTrialError,
)
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import Trial
from earmark.mushra_app.study.study import Study
from tests.mushra_app.database.sessions import Clock, answers_for, finish, open_one, run_all


def test_submitted_ratings_are_read_back(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    scores = dict(zip((s.token for s in trial.conditions), (0, 33, 71, 100), strict=True))
    given = {token: Answer(score, f"sounds like {score}") for token, score in scores.items()}
    store.submit("ada", trial.key, given, 42.5)
    table = store.ratings()
    assert list(table.columns) == [
        "listener", "item", "category", "condition", "score", "position", "seconds", "submitted", "comment",
        "excluded", "excluded_by", "server_seconds", "plays", "heard_seconds", "switches", "moves",
        "reference_seconds", "study", "study_version",
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
    assert store.ratings().empty
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert [label[:6] for label in store.ratings().listener] == ["L0001-"] * 4


def test_the_same_submission_again_changes_nothing(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    for seconds in (1.0, 2.0):
        store.submit("ada", trial.key, answers_for(trial), seconds)
    table = store.ratings()
    assert len(table) == 4
    assert (table.seconds == 1.0).all()


def test_a_different_submission_is_refused_and_the_first_kept(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    store.submit("ada", trial.key, answers_for(trial, 10), 1.0)
    with pytest.raises(AlreadyRatedError):
        store.submit("ada", trial.key, answers_for(trial, 20), 1.0)
    assert sorted(store.ratings().score) == [10, 11, 12, 13]


def test_a_trial_is_stored_completely_or_not_at_all(study: Study, store: Store):
    first, second, _ = store.enrol("ada").trials
    complete = answers_for(first)
    reference = {first.reference.token: Answer(100)}
    one_missing = dict(list(complete.items())[1:])
    for wrong in (one_missing, {}, complete | reference, one_missing | reference, answers_for(second)):
        with pytest.raises(RefusedError):
            store.submit("ada", first.key, wrong, 1.0)
    assert store.ratings().empty


def test_a_score_that_the_database_refuses_stores_nothing(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    with pytest.raises(Exception, match="CHECK constraint"):
        store.submit("ada", trial.key, answers_for(trial, 98), 1.0)  # 98, 99, 100, 101
    assert store.ratings().empty
    assert store.enrol("ada").open_step.position == 1


def test_keys_and_tokens_work_for_their_listener_only(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    store.enrol("eve")
    for key in ("eve", "nobody", ""):
        with pytest.raises(UnknownTrialError):
            store.submit(key, trial.key, answers_for(trial), 1.0)
        assert store.stimulus(key, trial.reference.token) is None
    assert store.stimulus("ada", trial.reference.token) == (trial.item, "hidden-original")


def test_simultaneous_submissions_store_one(study: Study, store: Store):
    """Of eight different simultaneous submissions of one trial, one is stored completely and seven are refused."""
    trial = store.enrol("ada").trials[0]
    barrier, refused = threading.Barrier(8), []

    def submit(score: int) -> None:
        barrier.wait()
        try:
            store.submit("ada", trial.key, answers_for(trial, score), 1.0)
        except AlreadyRatedError:
            refused.append(score)

    run_all(submit, range(10, 90, 10))
    scores = sorted(store.ratings().score)
    assert len(refused) == 7
    assert scores == [scores[0], scores[0] + 1, scores[0] + 2, scores[0] + 3]


def test_a_late_answer_is_not_lost(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    (trial,) = store.enrol("ada").trials
    clock.pass_lease()
    finish(store, "bob")
    store.submit("ada", trial.key, answers_for(trial), 1.0)
    assert [label[:6] for label in store.ratings().listener] == ["L0001-"] * 4 + ["L0002-"] * 4


def test_a_listener_who_has_stopped_adds_no_ratings(store: Store):
    """Neither from a forgotten tab, nor by submitting again what was stored before."""
    first, second, _ = store.enrol("ada").trials
    store.submit("ada", first.key, answers_for(first), 1.0)
    store.leave("ada")
    with pytest.raises(SessionOverError):
        store.submit("ada", second.key, answers_for(second), 1.0)
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert len(store.ratings()) == 4


def test_a_listener_who_was_turned_away_adds_no_ratings(store: Store):
    first = store.enrol("ada").trials[0]
    store.complete("ada", store.listener("ada").open_step.key, None, turned_away="headphone check")
    with pytest.raises(SessionOverError):
        store.submit("ada", first.key, answers_for(first), 1.0)


@pytest.mark.parametrize("rated", [False, True])
def test_a_trial_that_gets_another_item_while_its_answers_arrive_is_unknown(
    store: Store, monkeypatch: pytest.MonkeyPatch, rated: bool
):
    """Another request renews the leases between reading and writing; the new item may even be rated by then."""
    first = store.enrol("ada").trials[0]
    writing = store.writing

    def exchange_first():
        monkeypatch.setattr(store, "writing", writing)
        with writing() as session:
            session.get_one(Trial, first.id).key = "another"
        if rated:
            store.submit("ada", "another", answers_for(first, 10), 1.0)
        return writing()

    monkeypatch.setattr(store, "writing", exchange_first)
    with pytest.raises(UnknownTrialError):
        store.submit("ada", first.key, answers_for(first), 1.0)
