"""Who is admitted, and the steps of a session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from earmark.mushra_app.database.refusals import (
    NotOpenError,
    Status,
    TookPartError,
    TooManySessionsError,
    UnknownTrialError,
)
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.study.crowd import Arrival
from earmark.mushra_app.study.pages import Training, Trials, Volume
from earmark.mushra_app.study.study import Study
from tests.mushra_app.database.sessions import answers_for, finish, open_one, run_all


def test_a_listener_gets_different_items_and_every_condition_in_each(study: Study, store: Store):
    listener = store.enrol("ada")
    assert [trial.position for trial in listener.trials] == [1, 2, 3]
    assert len({trial.item for trial in listener.trials}) == 3
    for trial in listener.trials:
        assert trial.reference.condition == "hidden-original"
        assert sorted(s.condition for s in trial.conditions) == sorted(c.name for c in study.conditions)


def test_enrolling_twice_starts_one_session(store: Store):
    assert [t.key for t in store.enrol("ada").trials] == [t.key for t in store.enrol("ada").trials]


def test_tokens_are_all_different(store: Store):
    tokens = [s.token for key in "abc" for trial in store.enrol(key).trials for s in trial.stimuli]
    assert len(set(tokens)) == len(tokens) == 3 * 3 * 5  # listeners x trials x (reference + 4 conditions)


def test_orders_are_random(study: Study, store: Store):
    """90 trials show nearly all of the 24 orders of 4 conditions; fewer than 15 has a probability below 1e-8."""
    orders = {tuple(s.condition for s in t.conditions) for k in range(30) for t in store.enrol(str(k)).trials}
    assert len(orders) >= 15


def test_the_study_closes_when_every_item_has_its_ratings(tmp_path: Path, make_study):
    """4 items x 2 ratings, 2 trials per listener: 4 listeners complete it exactly, since leases are spread evenly."""
    store = open_one(make_study, tmp_path, items=4, annotations=2, trials=2)
    for key in ("ada", "bob", "cid", "dan"):
        assert store.status().state == "open"
        finish(store, key)
    assert store.status() == Status("complete", "Every item has its 2 ratings.", 0)
    assert set(store.ratings().groupby("item").listener.nunique()) == {2}


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_closed_study_admits_nobody_and_sessions_continue(store: Store, state: str):
    trial = store.enrol("ada").trials[0]
    store.set_gate(state)
    assert store.status().reason == f"The experimenter has {state} the study."
    with pytest.raises(NotOpenError, match=state):
        store.enrol("bob")
    store.submit("ada", trial.key, answers_for(trial), 1.0)
    store.set_gate("open")
    assert store.enrol("bob").trials


def test_a_session_is_the_study_s_pages_in_order(study: Study, study_folder: Path):
    """Training, volume, then trials with a break after every second one. Training adds no ratings."""
    longer = replace(study, pages=(Training("musical-001"), Volume(), Trials(break_after=2)), trials_per_listener=4)
    store = open_store(longer, study_folder)
    listener = store.enrol("ada")
    kinds = [step.type for step in listener.steps]
    assert kinds == ["training", "volume", "trial", "trial", "break", "trial", "trial"]
    assert len({trial.item for trial in listener.rating_trials}) == 4  # the item of the training is among them
    training = listener.trials[0] if listener.trials[0].purpose == "training" else listener.trials[1]
    store.submit("ada", training.key, answers_for(training), 1.0)
    assert store.ratings().empty
    assert store.listener("ada").open_step.type == "volume"


def test_steps_are_done_in_order_and_once(store: Store):
    store.enrol("ada")
    volume = store.listener("ada").open_step
    for key in ("nonsense", store.listener("ada").steps[1].key):
        with pytest.raises(UnknownTrialError):
            store.complete("ada", key, None)
    with pytest.raises(UnknownTrialError):
        store.complete("eve", volume.key, None)
    for answer in ({"level": 3}, {"level": 5}):
        store.complete("ada", volume.key, answer)
    assert store.listener("ada").steps[0].answer == {"level": 3}
    assert store.listener("ada").open_step.type == "trial"


def test_a_person_takes_part_once(store: Store):
    finish(store, "ada", Arrival("prolific", "5f00", "visit-1"))
    with pytest.raises(TookPartError):
        store.enrol("other-browser", Arrival("prolific", "5f00", "visit-2"))
    store.enrol("bob", Arrival("mturk", "5f00", "visit-2"))  # the same id elsewhere is another person
    store.enrol("cid", Arrival())
    store.enrol("dan", Arrival())  # an open link identifies nobody


def test_a_session_begun_with_another_person_s_id_does_not_lock_that_person_out(store: Store):
    """Eve opens the link with Ada's id. Ada still takes part, as another listener, on the visit that Prolific made."""
    eve = store.enrol("eve", Arrival("prolific", "5f00", "made up"))
    ada = store.enrol("ada", Arrival("prolific", "5f00", "62b1"))
    assert (eve.id, ada.id) == (1, 2)
    assert store.participation(Arrival("prolific", "5f00", "62b1")).id == 2
    finish(store, "ada")
    with pytest.raises(TookPartError):
        store.enrol("again", Arrival("prolific", "5f00", "63c2"))


def test_the_experimenter_can_let_a_person_come_again(store: Store):
    """Somebody rated everything in Ada's name; once that session is excluded, Ada can take part."""
    finish(store, "eve", Arrival("prolific", "5f00", "made up"))
    store.exclude(1, "not Ada")
    assert store.enrol("ada", Arrival("prolific", "5f00", "62b1")).id == 2


def test_a_deleted_listener_s_label_and_link_are_not_used_again(store: Store):
    """The experimenter deletes the newest listener by hand, as somebody who withdraws may ask."""
    arrival = Arrival("personal", "Ada", "hash of the link")
    store.enrol("ada", arrival)
    label = store.listener("ada").label
    with store.writing() as session:
        for table in ("step", "stimulus", "trial", "listener"):
            session.execute(text(f"DELETE FROM {table}"))
    assert store.enrol("bob").label != label
    assert store.listener("bob").id == 2
    with pytest.raises(TookPartError):
        store.enrol("ada again", arrival)


def test_the_open_sessions_of_an_address_are_limited(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=4, annotations=100, trials=1)
    store.per_address = 3
    for number in range(3):
        store.enrol(str(number), address="203.0.113.1")
    with pytest.raises(TooManySessionsError):
        store.enrol("3", address="203.0.113.1")
    store.enrol("4", address="203.0.113.2")
    store.enrol("5", Arrival("personal", "Ada", "hash"), address="203.0.113.1")  # a link that nobody can forge
    store.enrol("6", address="127.0.0.1")
    store.leave("0")
    store.enrol("7", address="203.0.113.1")
    store.per_address = None
    store.enrol("8", address="203.0.113.1")


def test_an_ipv6_subscriber_is_one_address(tmp_path: Path, make_study):
    """A subscriber has the 2^64 addresses of a /64 (RFC 6177), so that they count as one."""
    store = open_one(make_study, tmp_path, items=4, annotations=100, trials=1)
    store.per_address = 1
    store.enrol("0", address="2001:db8:0:1::1")
    store.enrol("1", address="2001:db8:0:2::1")
    with pytest.raises(TooManySessionsError):
        store.enrol("2", address="2001:db8:0:1:ffff::7")


def test_addresses_are_stored_as_hashes_while_a_session_is_open(store: Store):
    store.enrol("ada", address="203.0.113.1")
    assert store.listener("ada").address not in ("", "203.0.113.1")
    finish(store, "ada")
    assert store.listener("ada").address == ""


def test_one_person_in_two_browsers_at_once_is_enrolled_once(store: Store):
    refused = []

    def enrol(number: int) -> None:
        try:
            store.enrol(str(number), Arrival("prolific", "5f00", "visit"))
        except TookPartError:
            refused.append(number)

    run_all(enrol, range(4))
    assert len(refused) == 3
