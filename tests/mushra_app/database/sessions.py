"""Sessions in a database, for tests without a web app."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from earmark.mushra_app.database import leases
from earmark.mushra_app.database import store as stores
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import Trial
from earmark.mushra_app.study.crowd import Arrival


def answers_for(trial: Trial, score: int = 50) -> dict[str, Answer]:
    return {stimulus.token: Answer(score + index) for index, stimulus in enumerate(trial.conditions)}


def enter(store: Store, key: str) -> list[Trial]:
    """Consent and open the first trial, with which the leases begin; returns the trials that count."""
    store.enrol(key)
    if store.begin(key).state != "active":
        return []
    return [trial for trial in store.enrol(key).trials if trial.purpose == "rating"]


def finish(store: Store, key: str, arrival: Arrival = Arrival()) -> None:  # noqa: B008 - immutable
    """Complete a session."""
    store.enrol(key, arrival)
    for trial in enter(store, key):
        store.submit(key, trial.key, answers_for(trial), 1.0)
    for step in store.listener(key).steps:
        if step.trial_id is None:
            store.complete(key, step.key, None)
    store.screen_ended_sessions()


def run_all(function, arguments) -> None:
    """Call `function` with each argument in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=function, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Clock:
    """The time that the store sees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now)

    def pass_lease(self) -> None:
        self.now += stores.LEASE_SECONDS + leases.GRACE_SECONDS + 1


def open_one(make_study, folder: Path, **study: int) -> Store:
    """Write a study and open its database."""
    return open_store(make_study(folder, **study), folder)


def items_of(store: Store, key: str) -> set[str]:
    return {trial.item for trial in store.listener(key).rating_trials}
