"""A study that people from Prolific or Mechanical Turk took, and stand-ins for the platforms."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.platforms import mechanical_turk, prolific_client, review
from earmark.mushra_app.study.crowd import Arrival, Crowd
from earmark.mushra_app.study.study import load
from tests.earmark.calling import call
from tests.mushra_app.conftest import write_study
from tests.mushra_app.platforms.stand_in import AWS, TOKEN, ProlificStandIn, StandIn
from tests.mushra_app.platforms.stand_in_turk import TurkStandIn

STUDY = "610aa6c4"
PASSED, LOW = (95, 20, 60, 50), (50, 51, 52, 53)  # hidden reference, low anchor, systems; LOW has a reference below 90
# Listener -> scores; None: stopped before the first trial. The experimenter excluded eve.
LISTENERS = {"ada": PASSED, "bob": LOW, "cid": PASSED, "dan": None, "eve": PASSED}
SUBMISSIONS = {name: f"SUB{name.upper()}" for name in (*LISTENERS, "fay")}  # fay has no session
PERSONS = {name: f"A{name.upper()}" for name in SUBMISSIONS}

Run = Callable[..., tuple[int, str, str]]


def _take(store: Store, key: str, arrival: Arrival, scores: tuple[int, ...] | None) -> None:
    store.enrol(key, arrival)
    if scores is None:
        store.leave(key)
        return
    by_condition = dict(zip([one.name for one in store.study.conditions], scores, strict=True))
    store.begin(key)
    for trial in store.enrol(key).trials:
        answers = {one.token: Answer(by_condition[one.condition]) for one in store.trial(trial.id).conditions}
        store.submit(key, trial.key, answers, 10.0)
    for step in store.listener(key).steps:
        if step.trial_id is None:
            store.complete(key, step.key, None)


def _make(folder: Path, source: str, details: Callable[[str], dict[str, str]], crowd: Crowd) -> Path:
    write_study(folder, items=2, annotations=20, trials=2, seconds=0.1)
    store = open_store(load(folder), folder)
    store.crowd = crowd
    for name, scores in LISTENERS.items():
        _take(store, name, Arrival(source, PERSONS[name], SUBMISSIONS[name], details(name)), scores)
    store.screen_ended_sessions()
    store.exclude(store.listener("eve").id, "excluded by the experimenter")
    store.engine.dispose()
    return folder


@pytest.fixture(scope="session")
def prolific_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    crowd = Crowd(anonymous=False, prolific_completion="C1DONE", prolific_study=STUDY)
    return _make(tmp_path_factory.mktemp("prolific"), "prolific", lambda name: {"STUDY_ID": STUDY}, crowd)


@pytest.fixture(scope="session")
def turk_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    details = {"hitId": "HITOLD", "turkSubmitTo": "https://www.mturk.com"}
    return _make(tmp_path_factory.mktemp("mturk"), "mturk", lambda name: details, Crowd(anonymous=False, mturk=True))


def _copy(template: Path, folder: Path) -> Path:
    """A copy of a study that shares its audio, which nothing changes."""
    return shutil.copytree(
        template, folder, copy_function=lambda file, to: (os.link if file.endswith(".wav") else shutil.copy)(file, to)
    )  # fmt: skip


@pytest.fixture
def prolific_study(prolific_template: Path, tmp_path: Path) -> Path:
    return _copy(prolific_template, tmp_path / "study")


@pytest.fixture
def turk_study(turk_template: Path, tmp_path: Path) -> Path:
    return _copy(turk_template, tmp_path / "study")


@pytest.fixture
def prolific_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProlificStandIn]:
    """A study of 10 places at 3.20 GBP, and the submissions to it, all of which wait for review."""
    api = ProlificStandIn()
    api.studies[STUDY] = {
        "id": STUDY, "internal_name": "", "status": "ACTIVE", "reward": 320.0, "total_available_places": 10,
        "presentment_currency_code": "GBP",
    }  # fmt: skip
    for name, number in SUBMISSIONS.items():
        api.submissions[number] = {
            "id": number, "participant_id": PERSONS[name], "status": "AWAITING REVIEW", "bonus_payments": [],
        }  # fmt: skip
    monkeypatch.setenv(prolific_client.KEY, TOKEN)
    with api.serving() as address:
        monkeypatch.setattr(prolific_client, "ADDRESS", f"{address}/api/v1")
        yield api


@pytest.fixture
def turk_api(monkeypatch: pytest.MonkeyPatch, turk_template: Path) -> Iterator[TurkStandIn]:
    """A HIT that was made by hand, and the assignments of those who came from it; fay's receipt is ada's."""
    api = TurkStandIn()
    store = open_store(load(turk_template), turk_template)
    receipts = {name: store.listener(name).receipt for name in LISTENERS}
    store.engine.dispose()
    for name, number in SUBMISSIONS.items():
        answer = (
            '<?xml version="1.0" encoding="ASCII"?><QuestionFormAnswers xmlns="http://mechanicalturk.amazonaws.com/'
            'AWSMechanicalTurkDataSchemas/2005-10-01/QuestionFormAnswers.xsd"><Answer><QuestionIdentifier>receipt'
            f"</QuestionIdentifier><FreeText>{receipts.get(name, receipts['ada'])}</FreeText></Answer>"
            "</QuestionFormAnswers>"
        )
        api.assignments[number] = {
            "AssignmentId": number, "WorkerId": PERSONS[name], "HITId": "HITOLD", "AssignmentStatus": "Submitted",
            "Answer": answer,
        }  # fmt: skip
    for variable, value in zip(mechanical_turk.KEYS, AWS, strict=False):
        monkeypatch.setenv(variable, value)
    with api.serving() as address:
        monkeypatch.setattr(mechanical_turk, "ADDRESS", f"{address}/")
        yield api


@pytest.fixture(scope="session")
def screened() -> dict[tuple[str, str], dict[str, str]]:
    """Results of screening, by the id of the study's database and the rule."""
    return {}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, screened: dict) -> Run:
    """Function that runs `earmark study ...`; returns status, standard output and standard error.

    Studies are screened once, which takes longer than everything else: nothing changes their ratings.
    """
    original = review._dropped

    def remembered(store: Store, rule: str) -> dict[str, str]:
        key = (store.setting("study_id"), rule)
        if key not in screened:
            screened[key] = original(store, rule)
        return screened[key]

    monkeypatch.setattr(review, "_dropped", remembered)
    return lambda *arguments: call(["study", *map(str, arguments)], capsys)


@pytest.fixture(params=["prolific", "mturk"])
def platform(request: pytest.FixtureRequest) -> tuple[StandIn, Path]:
    """Each platform with its study."""
    name = {"prolific": "prolific", "mturk": "turk"}[request.param]
    return request.getfixturevalue(f"{name}_api"), request.getfixturevalue(f"{name}_study")
