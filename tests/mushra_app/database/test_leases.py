"""Leases are given, renewed and freed, and listeners who return late continue."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from earmark.mushra_app.database import leases
from earmark.mushra_app.database import store as stores
from earmark.mushra_app.database.refusals import (
    NotOpenError,
    Status,
    UnknownTrialError,
)
from earmark.mushra_app.database.store import open_store
from earmark.mushra_app.database.tables import Listener
from tests.mushra_app.database.sessions import Clock, answers_for, finish, items_of, open_one, run_all


def test_simultaneous_listeners_are_spread_evenly(tmp_path: Path, make_study):
    """Eight simultaneous listeners with 3 trials each share 4 items: 24 assignments, exactly 6 per item."""
    study = make_study(tmp_path, items=4, trials=3, annotations=6)
    store = open_store(study, tmp_path)
    run_all(lambda number: store.enrol(str(number)), range(8))
    assigned = Counter(trial.item for number in range(8) for trial in store.enrol(str(number)).trials)
    assert set(assigned.values()) == {6}


def test_each_missing_rating_is_leased_once(tmp_path: Path, make_study):
    """4 items x 2 ratings = 8, in sessions of three trials: 3 + 3 + 2, then nobody is admitted."""
    store = open_one(make_study, tmp_path, items=4, annotations=2, trials=3)
    assert [len(store.enrol(key).trials) for key in ("ada", "bob", "cid")] == [3, 3, 2]
    assert store.status().state == "waiting"
    with pytest.raises(NotOpenError, match="Every missing rating is reserved"):
        store.enrol("dan")


def test_leases_end_when_a_listener_disappears(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, _ = store.enrol("ada").trials
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert store.status().state == "waiting"
    clock.pass_lease()
    assert store.status() == Status("open", "Newcomers are let in.", 1)
    (trial,) = store.enrol("bob").trials
    assert trial.item != first.item  # Ada's rating counts


def test_a_late_listener_continues_with_what_is_left(tmp_path: Path, make_study, clock: Clock):
    """Ada has 2 of 3 items and is at the volume page. Bob gets 2 of 3 meanwhile, so one is left for Ada."""
    store = open_one(make_study, tmp_path, items=3, annotations=1, trials=2)
    store.enrol("ada")
    clock.pass_lease()
    store.enrol("bob")
    back = store.listener("ada")
    assert len(back.rating_trials) == 1
    assert [step.type for step in back.steps] == ["volume", "trial"]
    assert items_of(store, "ada") | items_of(store, "bob") == {item.id for item in store.study.items}
    assert store.status().state == "waiting"
    (trial,) = store.enrol("ada").trials
    store.submit("ada", trial.key, answers_for(trial), 1.0)


def test_a_listener_within_the_grace_period_keeps_the_items(tmp_path: Path, make_study, clock: Clock):
    """Ada's own leases still count for leases.GRACE_SECONDS, but not against herself."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in store.enrol("ada").trials]
    clock.now += stores.LEASE_SECONDS + 1
    assert [trial.key for trial in store.listener("ada").rating_trials] == before


def test_two_tabs_of_a_late_listener_renew_once(tmp_path: Path, make_study, clock: Clock):
    """Two tabs of a laptop that wakes up: the second finds the items leased, by the first."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in store.enrol("ada").trials]
    clock.pass_lease()
    with store.writing(exclusive=True) as session:
        listener = session.scalars(select(Listener)).one()
        for _ in range(2):
            leases.renew(session, store.study, listener, clock.now)
            listener.lease_until = clock.now + stores.LEASE_SECONDS
    assert [trial.key for trial in store.listener("ada").rating_trials] == before


def test_a_late_listener_gets_other_items_for_lost_ones(tmp_path: Path, make_study, clock: Clock):
    """Ada has 2 of 4 items. Bob gets any 2, and Ada ends up with exactly the other 2."""
    store = open_one(make_study, tmp_path, items=4, annotations=1, trials=2)
    before = store.enrol("ada").trials
    clock.pass_lease()
    taken = {trial.item for trial in store.enrol("bob").trials}
    after = store.enrol("ada").trials if store.listener("ada") else []
    assert {trial.item for trial in after} == {item.id for item in store.study.items} - taken
    for old, new in zip(before, after, strict=True):
        assert (old.key == new.key) == (old.item == new.item)
        assert len(new.stimuli) == 5


def test_the_open_trial_of_a_late_listener_stays(tmp_path: Path, make_study, clock: Clock):
    """Its answers may wait in the browser: one rating too many is better than one lost."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, second = store.enrol("ada").trials
    store.complete("ada", store.listener("ada").open_step.key, None)
    clock.pass_lease()
    finish(store, "bob")
    assert store.listener("ada").open_step.trial_id == first.id
    assert [trial.item for trial in store.listener("ada").rating_trials] == [first.item]
    with pytest.raises(UnknownTrialError):
        store.submit("ada", second.key, answers_for(second), 1.0)
    store.submit("ada", first.key, answers_for(first), 1.0)
    store.screen_ended_sessions()
    assert store.listener("ada").state == "finished"


def test_every_request_renews_the_lease(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    store.enrol("ada")
    for _ in range(5):
        clock.now += 0.9 * stores.LEASE_SECONDS
        store.listener("ada")
        assert store.status().state == "waiting"


def test_leaving_frees_unrated_items(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, second = store.enrol("ada").trials
    store.submit("ada", first.key, answers_for(first), 1.0)
    store.leave("ada")
    (trial,) = store.enrol("bob").trials
    assert trial.item == second.item


def test_turning_away_ends_all_leases(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    store.enrol("ada")
    store.complete("ada", store.listener("ada").open_step.key, {"passed": 1}, turned_away="headphone check")
    ada = store.listener("ada")
    assert (ada.state, ada.excluded, ada.steps[0].answer) == ("turned away", "headphone check", {"passed": 1})
    assert len(store.enrol("bob").trials) == 2
