"""Screening while a study runs."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from earmark.mushra_app.database import judging
from earmark.mushra_app.database.refusals import (
    Status,
)
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import Listener
from earmark.mushra_app.web import Options, create_app
from tests.mushra_app.database.sessions import finish, open_one


def rate_by_role(store: Store, key: str, *, reference: int, anchor: int) -> None:
    scores = {"hidden-original": reference, "anchor@3.5k": anchor, "opus@6": 50, "mp3@64": 60}
    for trial in store.enrol(key).trials:
        answers = {stimulus.token: Answer(scores[stimulus.condition]) for stimulus in trial.conditions}
        store.submit(key, trial.key, answers, 1.0)
    for step in store.listener(key).steps:
        if step.trial_id is None:
            store.complete(key, step.key, None)
    store.screen_ended_sessions()


def test_ratings_of_an_excluded_listener_are_missing_until_the_listener_is_included(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    finish(store, "ada")
    assert store.status().state == "complete"
    store.exclude(1, "rated with loudspeakers")
    assert store.status().state == "open"
    assert set(store.ratings().excluded) == {"rated with loudspeakers"}
    store.exclude(1, "")
    assert store.status().state == "complete"


def test_ratings_that_the_paper_s_rule_drops_are_replaced(tmp_path: Path, make_study):
    """Section 4.3: reference below 90 in at least 20 % of cases. Ada: 3 of 3, dropped. Bob: 0 of 3, kept."""
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    store = open_store(study, tmp_path, rule="paper")
    rate_by_role(store, "ada", reference=60, anchor=20)
    assert store.listener("ada").state == "finished"
    assert "hidden reference below 90" in store.listener("ada").excluded
    assert store.status().state == "open"
    rate_by_role(store, "bob", reference=100, anchor=20)
    assert store.listener("bob").excluded == ""
    assert store.status() == Status("complete", "Every item has its 1 rating.", 0)


def test_a_new_rule_judges_all_listeners_again(tmp_path: Path, make_study):
    """Ada rates the low anchor 85. The paper's rule drops her; that of BS.1534-3 has no such clause."""
    study = make_study(tmp_path, items=3, annotations=2, trials=3)
    create_app(tmp_path, Options(rule="paper"))
    store = open_store(study, tmp_path, rule="paper")
    rate_by_role(store, "ada", reference=100, anchor=85)
    rate_by_role(store, "bob", reference=100, anchor=85)
    store.exclude(2, "excluded by the experimenter")
    for rule, verdict in (("paper", "low anchor above 80 in 3 of 3 ratings (100.0 %)"), ("bs1534", "")):
        served = create_app(tmp_path, Options(rule=rule)).extensions["earmark"].store
        served.screen_ended_sessions()
        assert served.listener("ada").excluded.endswith(verdict)
        assert bool(served.listener("ada").excluded) == bool(verdict)
        assert served.listener("bob").excluded == "excluded by the experimenter"


def test_screening_does_not_override_the_experimenter(tmp_path: Path, make_study):
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    store = open_store(study, tmp_path, rule="paper")
    rate_by_role(store, "ada", reference=60, anchor=20)
    store.exclude(1, "")
    store.leave("ada")
    store.screen_ended_sessions()
    assert store.listener("ada").excluded == ""


def test_a_listener_whom_a_killed_server_did_not_judge_is_judged_later(tmp_path: Path, make_study, monkeypatch):
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    store = open_store(study, tmp_path, rule="paper")
    with monkeypatch.context() as dying:
        dying.setattr(Store, "screen_ended_sessions", lambda self: None)
        rate_by_role(store, "ada", reference=60, anchor=20)
    assert store.status().state == "complete"
    store.screen_ended_sessions()
    assert (store.listener("ada").state, store.status().state) == ("finished", "open")


def test_a_rule_judges_anew_whom_timing_had_excluded(tmp_path: Path, make_study):
    """Ada rates well, one second per trial. Served without --implausible refuse, she counts again under every rule."""
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    create_app(tmp_path, Options(rule="paper", refuse_implausible=True))
    store = open_store(study, tmp_path, rule="paper", refuse_implausible=True)
    for trial in store.enrol("ada").trials:
        store.serve_trial(trial.id)
    rate_by_role(store, "ada", reference=100, anchor=20)
    assert store.listener("ada").excluded_by == "timing"
    served = create_app(tmp_path, Options(rule="paper")).extensions["earmark"].store
    served.screen_ended_sessions()
    assert (served.listener("ada").excluded, served.listener("ada").excluded_by) == ("", "")


def test_ratings_that_come_while_a_listener_is_judged_are_judged_too(tmp_path: Path, make_study):
    """Ada stops and comes back between the verdict and its storage."""
    store = open_store(make_study(tmp_path, items=3, annotations=1, trials=3), tmp_path, rule="paper")
    trials = store.enrol("ada").trials
    store.submit("ada", trials[0].key, {one.token: Answer(50) for one in trials[0].conditions}, 1.0)
    with store.writing() as session:
        session.execute(update(Listener).values(lease_until=0.0))
    with store.reading() as session:
        verdicts = judging.judge(session, store.study, "paper")
    store.submit("ada", trials[1].key, {one.token: Answer(50) for one in trials[1].conditions}, 1.0)
    with store.writing() as session:
        judging.record(session, verdicts)
    assert (store.listener("ada").excluded, store.listener("ada").judged) == ("", None)
    store.leave("ada")
    assert "in 2 of 2 ratings" in store.listener("ada").excluded
