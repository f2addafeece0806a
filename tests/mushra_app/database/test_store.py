"""Ratings are stored once, whole and for the right listener; places are leased, freed and shared out evenly."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from earmark.codec.errors import UserError
from earmark.mushra_app.database import leases
from earmark.mushra_app.database import store as stores
from earmark.mushra_app.database.allocation import allocate, is_complete
from earmark.mushra_app.database.refusals import (
    AlreadyRatedError,
    NotOpenError,
    RefusedError,
    SessionOverError,
    Status,
    TookPartError,
    UnknownTrialError,
)
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import Listener, Trial
from earmark.mushra_app.study.crowd import Arrival
from earmark.mushra_app.study.pages import Training, Trials, Volume
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.study.study import load as load_study
from earmark.mushra_app.web import Options, create_app


@pytest.fixture
def study(study_folder: Path) -> Study:
    """Four items with places for everybody."""
    return replace(load_study(study_folder), annotations=100)


@pytest.fixture
def store(study: Study, study_folder: Path) -> Store:
    return open_store(study, study_folder)


def answers_for(trial: Trial, score: int = 50) -> dict[str, Answer]:
    return {stimulus.token: Answer(score + place) for place, stimulus in enumerate(trial.conditions)}


def finish(store: Store, key: str) -> None:
    """Take a whole session."""
    for trial in store.enrol(key).trials:
        store.submit(key, trial.key, answers_for(trial), 1.0)
    for step in store.listener(key).steps:
        if step.trial_id is None:
            store.complete(key, step.key, None)
    store.screen_ended_sessions()


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
    table = store.ratings()
    assert list(table.columns) == [
        "listener", "item", "category", "condition", "score", "position", "seconds", "submitted", "comment",
        "excluded",
        "excluded_by",
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
    assert list(store.ratings().listener) == ["L0001"] * 4


def test_the_same_submission_again_changes_nothing(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    for seconds in (1.0, 2.0):
        store.submit("ada", trial.key, answers_for(trial), seconds)
    table = store.ratings()
    assert len(table) == 4
    assert (table.seconds == 1.0).all()


def test_another_submission_is_refused_and_the_first_kept(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    store.submit("ada", trial.key, answers_for(trial, 10), 1.0)
    with pytest.raises(AlreadyRatedError):
        store.submit("ada", trial.key, answers_for(trial, 20), 1.0)
    assert sorted(store.ratings().score) == [10, 11, 12, 13]


def test_a_trial_is_stored_whole_or_not_at_all(study: Study, store: Store):
    first, second, _ = store.enrol("ada").trials
    complete = answers_for(first)
    reference = {first.reference.token: Answer(100)}
    one_missing = dict(list(complete.items())[1:])
    for wrong in (one_missing, {}, complete | reference, one_missing | reference, answers_for(second)):
        with pytest.raises(RefusedError):
            store.submit("ada", first.key, wrong, 1.0)
    assert store.ratings().empty


def test_a_score_that_the_database_refuses_leaves_nothing_behind(study: Study, store: Store):
    trial = store.enrol("ada").trials[0]
    with pytest.raises(Exception, match="CHECK constraint"):
        store.submit("ada", trial.key, answers_for(trial, 98), 1.0)  # 98, 99, 100, 101
    assert store.ratings().empty
    assert store.enrol("ada").open_step.position == 1


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
    scores = sorted(store.ratings().score)
    assert len(refused) == 7
    assert scores == [scores[0], scores[0] + 1, scores[0] + 2, scores[0] + 3]


def test_simultaneous_listeners_are_spread_evenly(tmp_path: Path, make_study):
    """Eight listeners of 3 trials among 4 items arrive at once: 24 assignments, 6 for each item exactly."""
    study = make_study(tmp_path, items=4, trials=3, annotations=6)
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


def test_full_items_are_not_given_away(study: Study):
    two = replace(study, annotations=2)
    held = {"speechlike-000": 2, "musical-001": 3, "speechlike-002": 1, "musical-003": 0}
    assert {item.id for item in allocate(two, held, random.Random(0))} == {"speechlike-002", "musical-003"}


def test_what_a_listener_has_heard_is_not_given_again(study: Study):
    heard = {"speechlike-000", "musical-001"}
    assert not heard & {item.id for item in allocate(study, {}, random.Random(0), count=4, heard=heard)}
    (one,) = allocate(study, {}, random.Random(0), count=1, heard=["speechlike-000", "speechlike-002"])
    assert one.category == "musical"


class Clock:
    """Time as the store sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = stores.time.time()
        monkeypatch.setattr(stores.time, "time", lambda: self.now)

    def pass_lease(self) -> None:
        self.now += stores.LEASE_SECONDS + leases.GRACE_SECONDS + 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def open_one(make_study, folder: Path, **study: int) -> Store:
    return open_store(make_study(folder, **study), folder)


def items_of(store: Store, key: str) -> set[str]:
    return {trial.item for trial in store.listener(key).rating_trials}


def test_a_place_is_given_once(tmp_path: Path, make_study):
    """4 items x 2 places = 8; three trials each: 3 + 3 + 2, and nobody else is let in."""
    store = open_one(make_study, tmp_path, items=4, annotations=2, trials=3)
    assert [len(store.enrol(key).trials) for key in ("ada", "bob", "cid")] == [3, 3, 2]
    assert store.status().state == "waiting"
    with pytest.raises(NotOpenError, match="Every missing rating is reserved"):
        store.enrol("dan")


def test_places_of_who_is_gone_come_free(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, _ = store.enrol("ada").trials
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert store.status().state == "waiting"
    clock.pass_lease()
    assert store.status() == Status("open", "Newcomers are let in.", 1)
    (trial,) = store.enrol("bob").trials
    assert trial.item != first.item  # what Ada has rated counts


def test_who_comes_back_late_goes_on_with_what_is_free(tmp_path: Path, make_study, clock: Clock):
    """Ada holds 2 of 3 items and is at the volume page; Bob takes 2 of 3 meanwhile; one is left, and Ada gets it."""
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


def test_who_comes_back_a_moment_late_keeps_what_nobody_took(tmp_path: Path, make_study, clock: Clock):
    """Others may not have the places for leases.GRACE_SECONDS more; that is no reason to take them from Ada."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in store.enrol("ada").trials]
    clock.now += stores.LEASE_SECONDS + 1
    assert [trial.key for trial in store.listener("ada").rating_trials] == before


def test_two_pages_of_a_late_listener_at_once_renew_once(tmp_path: Path, make_study, clock: Clock):
    """Two tabs of a laptop that wakes up: the second finds the places leased, but by the first."""
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    before = [trial.key for trial in store.enrol("ada").trials]
    clock.pass_lease()
    with store.writing(exclusive=True) as session:
        listener = session.scalars(select(Listener)).one()
        for _ in range(2):
            leases.renew(session, store.study, listener, clock.now)
            listener.lease_until = clock.now + stores.LEASE_SECONDS
    assert [trial.key for trial in store.listener("ada").rating_trials] == before


def test_who_comes_back_late_gets_free_items_in_place_of_lost_ones(tmp_path: Path, make_study, clock: Clock):
    """Ada holds 2 of 4 items, Bob takes 2 others or the same: Ada has exactly the other 2 then."""
    store = open_one(make_study, tmp_path, items=4, annotations=1, trials=2)
    before = store.enrol("ada").trials
    clock.pass_lease()
    taken = {trial.item for trial in store.enrol("bob").trials}
    after = store.enrol("ada").trials if store.listener("ada") else []
    assert {trial.item for trial in after} == {item.id for item in store.study.items} - taken
    for old, new in zip(before, after, strict=True):
        assert (old.key == new.key) == (old.item == new.item)
        assert len(new.stimuli) == 5


def test_the_trial_that_a_late_listener_is_at_stays(tmp_path: Path, make_study, clock: Clock):
    """Its answers may wait in the browser; the one rating too many is better than one lost."""
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


def test_a_late_answer_is_not_lost(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    (trial,) = store.enrol("ada").trials
    clock.pass_lease()
    finish(store, "bob")
    store.submit("ada", trial.key, answers_for(trial), 1.0)
    assert list(store.ratings().listener) == ["L0001"] * 4 + ["L0002"] * 4


def test_every_request_renews_the_lease(tmp_path: Path, make_study, clock: Clock):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    store.enrol("ada")
    for _ in range(5):
        clock.now += 0.9 * stores.LEASE_SECONDS
        store.listener("ada")
        assert store.status().state == "waiting"


def test_who_leaves_gives_back_what_is_not_rated(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    first, second = store.enrol("ada").trials
    store.submit("ada", first.key, answers_for(first), 1.0)
    store.leave("ada")
    (trial,) = store.enrol("bob").trials
    assert trial.item == second.item


def test_who_has_stopped_adds_no_ratings(store: Store):
    """Neither from a tab left behind, nor by sending once more what was stored before."""
    first, second, _ = store.enrol("ada").trials
    store.submit("ada", first.key, answers_for(first), 1.0)
    store.leave("ada")
    with pytest.raises(SessionOverError):
        store.submit("ada", second.key, answers_for(second), 1.0)
    store.submit("ada", first.key, answers_for(first), 1.0)
    assert len(store.ratings()) == 4


def test_who_is_turned_away_adds_no_ratings(store: Store):
    first = store.enrol("ada").trials[0]
    store.complete("ada", store.listener("ada").open_step.key, None, turned_away="headphone check")
    with pytest.raises(SessionOverError):
        store.submit("ada", first.key, answers_for(first), 1.0)


@pytest.mark.parametrize("rated", [False, True])
def test_a_trial_exchanged_while_its_answers_arrive_is_unknown_and_not_called_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch, rated: bool
):
    """Another request renews the session between the look-up and the write; the new item may even be rated by then."""
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


def test_who_is_turned_away_gives_everything_back(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=2, annotations=1, trials=2)
    store.enrol("ada")
    store.complete("ada", store.listener("ada").open_step.key, {"passed": 1}, turned_away="headphone check")
    ada = store.listener("ada")
    assert (ada.state, ada.excluded, ada.steps[0].answer) == ("turned away", "headphone check", {"passed": 1})
    assert len(store.enrol("bob").trials) == 2


def test_an_excluded_listener_frees_rated_places_and_an_included_one_takes_them_back(tmp_path: Path, make_study):
    store = open_one(make_study, tmp_path, items=1, annotations=1, trials=1)
    finish(store, "ada")
    assert store.status().state == "complete"
    store.exclude(1, "rated with loudspeakers")
    assert store.status().state == "open"
    assert set(store.ratings().excluded) == {"rated with loudspeakers"}
    store.exclude(1, "")
    assert store.status().state == "complete"


def rate_by_role(store: Store, key: str, *, reference: int, anchor: int) -> None:
    scores = {"hidden-original": reference, "anchor@3.5k": anchor, "opus@6": 50, "mp3@64": 60}
    for trial in store.enrol(key).trials:
        answers = {stimulus.token: Answer(scores[stimulus.condition]) for stimulus in trial.conditions}
        store.submit(key, trial.key, answers, 1.0)
    for step in store.listener(key).steps:
        if step.trial_id is None:
            store.complete(key, step.key, None)
    store.screen_ended_sessions()


def test_the_paper_s_rule_frees_the_places_of_whom_it_drops(tmp_path: Path, make_study):
    """Section 4.3: reference below 90 in at least 20 % of cases. Ada: 3 of 3. Bob: none, and anchor at 20: kept."""
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    store = open_store(study, tmp_path, rule="paper")
    rate_by_role(store, "ada", reference=60, anchor=20)
    assert store.listener("ada").state == "finished"
    assert "hidden reference below 90" in store.listener("ada").excluded
    assert store.status().state == "open"
    rate_by_role(store, "bob", reference=100, anchor=20)
    assert store.listener("bob").excluded == ""
    assert store.status() == Status("complete", "Every item has its 1 rating.", 0)


def test_a_study_that_is_served_by_another_rule_judges_anew(tmp_path: Path, make_study):
    """Ada rates the low anchor at 85: the paper's rule drops her for it, that of BS.1534-3 does not look there."""
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


def test_the_experimenter_s_word_is_the_last(tmp_path: Path, make_study):
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    store = open_store(study, tmp_path, rule="paper")
    rate_by_role(store, "ada", reference=60, anchor=20)
    store.exclude(1, "")
    store.leave("ada")
    store.screen_ended_sessions()
    assert store.listener("ada").excluded == ""


def test_who_was_killed_before_being_judged_is_judged_later(tmp_path: Path, make_study, monkeypatch):
    study = make_study(tmp_path, items=3, annotations=1, trials=3)
    store = open_store(study, tmp_path, rule="paper")
    with monkeypatch.context() as dying:
        dying.setattr(Store, "screen_ended_sessions", lambda self: None)
        rate_by_role(store, "ada", reference=60, anchor=20)
    assert store.status().state == "complete"
    store.screen_ended_sessions()
    assert (store.listener("ada").state, store.status().state) == ("finished", "open")


def test_the_study_closes_when_every_item_has_its_ratings(tmp_path: Path, make_study):
    """4 items x 2 annotations, 2 trials a listener: 4 listeners fill it exactly, since work is spread evenly."""
    store = open_one(make_study, tmp_path, items=4, annotations=2, trials=2)
    for key in ("ada", "bob", "cid", "dan"):
        assert store.status().state == "open"
        finish(store, key)
    assert store.status() == Status("complete", "Every item has its 2 ratings.", 0)
    assert set(store.ratings().groupby("item").listener.nunique()) == {2}


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_the_experimenter_shuts_the_gate_and_who_has_begun_goes_on(store: Store, state: str):
    trial = store.enrol("ada").trials[0]
    store.set_gate(state)
    assert store.status().reason == f"The experimenter has {state} the study."
    with pytest.raises(NotOpenError, match=state):
        store.enrol("bob")
    store.submit("ada", trial.key, answers_for(trial), 1.0)
    store.set_gate("open")
    assert store.enrol("bob").trials


def test_is_complete_counts_every_item(study: Study):
    two = replace(study, annotations=2)
    valid = {item.id: 2 for item in study.items}
    assert is_complete(two, valid)
    assert not is_complete(two, valid | {"musical-001": 1})
    assert not is_complete(two, {"musical-001": 100})


# Sessions


def test_a_session_is_the_study_s_pages_in_order(study: Study, study_folder: Path):
    """Training first, volume, then trials with a break after every second one; training does not count as a rating."""
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
    store.enrol("ada", Arrival("prolific", "5f00", "visit-1"))
    with pytest.raises(TookPartError):
        store.enrol("other-browser", Arrival("prolific", "5f00", "visit-2"))
    store.enrol("bob", Arrival("mturk", "5f00", "visit-2"))  # the same characters elsewhere are somebody else
    store.enrol("cid", Arrival())
    store.enrol("dan", Arrival())  # nobody knows who comes by the open link


def test_one_person_in_two_browsers_at_once_is_enrolled_once(store: Store):
    refused = []

    def enrol(number: int) -> None:
        try:
            store.enrol(str(number), Arrival("prolific", "5f00", "visit"))
        except TookPartError:
            refused.append(number)

    run_all(enrol, range(4))
    assert len(refused) == 3


def test_the_database_outlives_the_process(study: Study, study_folder: Path):
    first = open_store(study, study_folder)
    trial = first.enrol("ada").trials[0]
    first.submit("ada", trial.key, answers_for(trial), 1.0)
    second = open_store(study, study_folder)
    assert [step.done is None for step in second.listener("ada").steps] == [True, False, True, True]
    assert second.setting("secret_key") == first.setting("secret_key")
    assert len(second.ratings()) == 4


def test_sqlite_is_set_up_as_promised(store: Store, study_folder: Path):
    with store.reading() as session:
        pragma = {name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
                  for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")}  # fmt: skip
    # synchronous FULL (2): an acknowledged rating survives a power cut
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000, "synchronous": 2}
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        assert connection.execute("SELECT value FROM setting WHERE name = 'schema_version'").fetchone() == ("2",)


def test_a_newer_schema_is_refused(store: Store, study: Study, study_folder: Path):
    with sqlite3.connect(study_folder / "ratings.sqlite") as connection:
        connection.execute("UPDATE setting SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(UserError, match="newer Earmark made"):
        open_store(study, study_folder)


def test_ratings_of_another_study_are_refused(store: Store, study: Study, study_folder: Path):
    store.enrol("ada")
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


def test_a_database_elsewhere_stays_with_its_study_even_before_anybody_came(study: Study, study_folder: Path):
    """That study may be being served: its listeners would rate what this one has not."""
    url = f"sqlite:///{study_folder / 'elsewhere.sqlite'}"
    open_store(study, study_folder, url)
    with pytest.raises(UserError, match="another study"):
        open_store(replace(study, items=study.items[:1]), study_folder, url)
