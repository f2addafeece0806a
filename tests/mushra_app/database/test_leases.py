"""Leases are given, renewed and freed, and listeners who return late continue."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
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
from earmark.mushra_app.study.study import load as load_study
from tests.mushra_app.database.sessions import Clock, answers_for, enter, finish, items_of, open_one, run_all


def test_simultaneous_listeners_are_spread_evenly(tmp_path: Path, make_study):
    """Eight simultaneous listeners with 3 trials each share 4 items: 24 assignments, exactly 6 per item."""
    study = make_study(tmp_path, items=4, trials=3, annotations=6)
    store = open_store(study, tmp_path)
    run_all(lambda number: enter(store, str(number)), range(8))
    assigned = Counter(trial.item for number in range(8) for trial in store.enrol(str(number)).trials)
    assert set(assigned.values()) == {6}


def test_each_missing_rating_is_leased_once(tmp_path: Path, make_study):
    """4 items x 2 ratings = 8, in sessions of three trials: 3 + 3 + 2, then nobody is admitted."""
    store = open_one(make_study, tmp_path, items=4, annotations=2, trials=3)
    assert [len(enter(store, key)) for key in ("ada", "bob", "cid")] == [3, 3, 2]
    assert store.status().state == "waiting"
    with pytest.raises(NotOpenError, match="Every missing rating is reserved"):
        store.enrol("dan")


def test_leases_end_when_a_listener_disappears(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, _ = enter(store, "ada")
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert store.status().state == "waiting"
    clock.pass_lease()
    assert store.status() == Status("open", "Newcomers are let in.", 1)
    (trial,) = enter(store, "bob")
    assert trial.item != first.item  # Ada's rating counts


def test_a_session_that_has_begun_is_never_shortened(tmp_path: Path, make_study, clock: Clock):
    """Ada has both items when her leases run out. Bob rates both: nothing is missing, and she keeps her trials."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in enter(store, "ada")]
    clock.pass_lease()
    finish(store, "bob")
    assert store.status().state == "complete"
    assert [trial.key for trial in store.listener("ada").rating_trials] == before
    finish(store, "ada")
    assert store.listener("ada").state == "finished"
    assert store.ratings().groupby("listener")["item"].nunique().to_list() == [2, 2]


def test_who_comes_to_the_first_trial_late_rates_what_is_left(tmp_path: Path, make_study):
    """3 items x 1 rating, 2 per session. Ada waits at the volume page while Bob begins with 2: one is left for her."""
    store = open_one(make_study, tmp_path, items=3, annotations=1, trials=2)
    store.enrol("ada")
    enter(store, "bob")
    (trial,) = enter(store, "ada")
    assert [step.type for step in store.listener("ada").steps] == ["volume", "trial"]
    assert items_of(store, "ada") | items_of(store, "bob") == {item.id for item in store.study.items}
    assert store.status().state == "waiting"
    store.submit("ada", trial.key, answers_for(trial), 1.0)


def test_consent_reserves_nothing(tmp_path: Path, make_study):
    """2 items x 2 ratings / 2 trials = 2 places. Twenty people consent and leave; a listener still gets both items."""
    store = open_one(make_study, tmp_path, items=2, annotations=2, trials=2)
    for number in range(20):
        store.enrol(str(number))
    assert store.status().state == "open"
    assert len(enter(store, "ada")) == 2


def test_a_listener_without_a_place_has_not_finished(tmp_path: Path, make_study, clock: Clock):
    """Ada consents, stays on the volume page until her lease would be over, and others take all places."""
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    store.enrol("ada")
    clock.pass_lease()
    finish(store, "bob")
    assert store.listener("ada").state == "active"
    ada = store.begin("ada")
    assert (ada.state, ada.outcome, ada.is_complete) == ("not begun", "not begun", False)
    store.screen_ended_sessions()
    assert store.listener("ada").state == "not begun"


def test_a_listener_within_the_grace_period_keeps_the_items(tmp_path: Path, make_study, clock: Clock):
    """Ada's own leases still count for leases.GRACE_SECONDS, but not against herself."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in enter(store, "ada")]
    clock.now += stores.LEASE_SECONDS + 1
    assert [trial.key for trial in store.listener("ada").rating_trials] == before


def test_two_tabs_of_a_late_listener_renew_once(tmp_path: Path, make_study, clock: Clock):
    """Two tabs of a laptop that wakes up: the second finds the items leased, by the first."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in enter(store, "ada")]
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
    before = enter(store, "ada")
    clock.pass_lease()
    taken = {trial.item for trial in enter(store, "bob")}
    after = store.enrol("ada").trials if store.listener("ada") else []
    assert {trial.item for trial in after} == {item.id for item in store.study.items} - taken
    for old, new in zip(before, after, strict=True):
        assert (old.key == new.key) == (old.item == new.item)
        assert len(new.stimuli) == 5


def test_the_open_trial_of_a_late_listener_stays(tmp_path: Path, make_study, clock: Clock):
    """Its answers may wait in the browser: one rating too many is better than one lost."""
    store = open_one(make_study, tmp_path, items=3, annotations=1, trials=2)
    first, second = enter(store, "ada")
    store.complete("ada", store.listener("ada").open_step.key, None)
    hers = items_of(store, "ada")
    clock.pass_lease()
    store.study = replace(store.study, items=tuple(one for one in store.study.items if one.id in hers))
    finish(store, "bob")
    store.study = load_study(tmp_path)
    ada = store.listener("ada")
    assert ada.open_step.trial_id == first.id
    assert ada.rating_trials[0].item == first.item
    assert ada.rating_trials[1].item not in (first.item, second.item)  # the only item that is missing
    with pytest.raises(UnknownTrialError):
        store.submit("ada", second.key, answers_for(second), 1.0)
    store.submit("ada", first.key, answers_for(first), 1.0)


def test_reloading_renews_a_lease_for_a_while_only(tmp_path: Path, make_study, clock: Clock):
    """Two leases after the last stored answer the place is free; the session itself goes on."""
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    (trial,) = enter(store, "ada")
    for _ in range(2):
        clock.now += 0.9 * stores.LEASE_SECONDS
        store.listener("ada")
        assert store.status().state == "waiting"
    for _ in range(5):
        clock.now += 0.9 * stores.LEASE_SECONDS
        store.listener("ada")
        assert store.status().state == "open"
    store.submit("ada", trial.key, answers_for(trial), 1.0)
    assert store.status().state == "complete"


def test_stored_answers_renew_the_lease(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=4, annotations=1, trials=4)
    for trial in enter(store, "ada"):
        assert store.status().state == "waiting"
        clock.now += 0.9 * stores.LEASE_SECONDS
        store.submit("ada", trial.key, answers_for(trial), 1.0)


@pytest.mark.parametrize("by_hand", ["exclude", "free", "free all"])
def test_the_experimenter_frees_places(tmp_path: Path, make_study, clock: Clock, by_hand: str):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    enter(store, "eve")
    assert store.status().state == "waiting"
    if by_hand == "exclude":
        store.exclude(1, "a script")
    else:
        assert store.free_places(1 if by_hand == "free" else None) == 1
    assert store.status().state == "open"
    store.listener("eve")  # a reload does not take the place again
    clock.now += leases.GRACE_SECONDS + 1
    assert store.status().state == "open"
    assert len(enter(store, "ada")) == 1


def test_leaving_frees_unrated_items(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, second = enter(store, "ada")
    store.submit("ada", first.key, answers_for(first), 1.0)
    store.leave("ada")
    (trial,) = enter(store, "bob")
    assert trial.item == second.item


def test_turning_away_ends_all_leases(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    enter(store, "ada")
    store.complete("ada", store.listener("ada").open_step.key, {"passed": 1}, turned_away="headphone check")
    ada = store.listener("ada")
    assert (ada.state, ada.excluded, ada.steps[0].answer) == ("turned away", "headphone check", {"passed": 1})
    assert len(enter(store, "bob")) == 2
