"""Commands that are killed at any moment and repeated: nothing is done twice, and nothing is forgotten."""

from __future__ import annotations

import copy
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.platforms.requests import Requests
from earmark.mushra_app.study.crowd import Crowd
from tests.mushra_app.platforms.conftest import STUDY, Run
from tests.mushra_app.platforms.stand_in import Fault, ProlificStandIn
from tests.mushra_app.platforms.stand_in_turk import TurkStandIn

BONUS = ("--amount", "0.50", "--reason", "Careful work", "--most", "10", "--send")
OFFER = ("--places", "11", "--url", "https://listen.example.org/", "--reward", "3.20", "--most", "100", "--send")
SEND = Requests.send
MOMENTS = ((Requests, "send"), (Journal, "begin"), (Journal, "finish"), (Journal, "withdraw"), (Store, "set"))


class Killed(BaseException):
    """The end of a process, which nothing catches."""


class Reaper:
    """Kills a command at a moment: before or after one of its requests or entries in the database.

    Attributes:
        moments: that have passed.
        at: number of the one at which to kill; None to let the command live.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moments, self.at = 0, None
        self.before_repetition: Callable[[], object] = lambda: None
        for owner, name in MOMENTS:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, original: Callable) -> Callable:
        def watched(*arguments, **options):
            if original is SEND and (arguments[1] == "GET" or ".List" in str(arguments)):
                return original(*arguments, **options)  # changes nothing
            self._pass()
            result = original(*arguments, **options)
            self._pass()
            return result

        return watched

    def _pass(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Killed

    def run(self, command: Callable[[], tuple[int, str, str]], at: int | None = None):
        """Run a command; None if it was killed at moment `at`."""
        self.moments, self.at = 0, at
        try:
            return command()
        except Killed:
            return None


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Reaper:
    return Reaper(monkeypatch)


class Trials:
    """Tries a command at each of its moments, each time with a new study and a new platform."""

    def __init__(self, reaper: Reaper, api, study: Path, run: Run) -> None:
        self.reaper, self.api, self.study, self.run = reaper, api, study, run
        self.fresh = {name: value for name, value in vars(api).items() if isinstance(value, dict | list | set)}
        self.database, self.saved = study / "ratings.sqlite", study / "saved.sqlite"
        _copy(self.database, self.saved)

    def renew(self) -> None:
        _copy(self.saved, self.database)
        vars(self.api).update(copy.deepcopy(self.initial))

    def each(self, *arguments: str):
        """Yield the status, output and errors of the command repeated after a kill at each of its moments."""
        self.initial = copy.deepcopy(self.fresh)

        def command():
            return self.run(arguments[0], self.study, *arguments[1:])

        assert self.reaper.run(command)[0] == 0
        moments = self.reaper.moments
        assert moments >= 2
        for at in range(1, moments + 1):
            self.renew()
            assert self.reaper.run(command, at) is None
            self.reaper.before_repetition()
            yield at, self.reaper.run(command)


@pytest.fixture(params=["prolific", "turk"])
def trials(request: pytest.FixtureRequest, reaper: Reaper, run: Run) -> Trials:
    api, study = (request.getfixturevalue(f"{request.param}_{what}") for what in ("api", "study"))
    return Trials(reaper, api, study, run)


def test_submissions_are_approved_once(reaper: Reaper, prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    trials = Trials(reaper, prolific_api, prolific_study, run)
    for at, (status, _, err) in trials.each("approve", "--send"):
        numbers = sorted(number for number, _ in trials.api.decided)
        assert (status, numbers) == (0, ["SUBADA", "SUBCID"]), (at, err)
        assert _unsettled(trials.study) == [], at


def test_submissions_are_rejected_once(reaper: Reaper, turk_api: TurkStandIn, turk_study: Path, run: Run):
    trials = Trials(reaper, turk_api, turk_study, run)
    for at, (status, _, err) in trials.each("reject", "SUBDAN", "--reason", "Nothing was rated.", "--send"):
        assert (status, turk_api.decided) == (0, [("SUBDAN", "Rejected")]), (at, err)
        assert _unsettled(trials.study) == [], at


def test_places_are_published_once(trials: Trials):
    """11 places: one more for Prolific's study; a HIT of 9 and one of 2 beside the HIT that was made by hand."""
    for at, (status, _, err) in trials.each("publish", *OFFER):
        assert status == 0, (at, err)
        if isinstance(trials.api, TurkStandIn):
            assert [hit["MaxAssignments"] for hit in trials.api.hits.values()] == [9, 2], at
        else:
            assert trials.api.studies[STUDY]["total_available_places"] == 11, at


def test_bonuses_of_mechanical_turk_are_paid_once(reaper: Reaper, turk_api: TurkStandIn, turk_study: Path, run: Run):
    """The command is repeated after a day, when Amazon has forgotten its tokens."""
    trials = Trials(reaper, turk_api, turk_study, run)
    reaper.before_repetition = turk_api.tokens.clear
    for at, (status, _, err) in trials.each("bonus", *BONUS):
        assert status == 0, (at, err)
        paid = sorted((one["AssignmentId"], one["BonusAmount"]) for one in turk_api.bonuses)
        assert paid == [("SUBADA", "0.50"), ("SUBCID", "0.50")], at


def test_the_token_protects_while_the_list_lags(turk_api: TurkStandIn, turk_study: Path, run: Run):
    """Amazon has paid, its answer was lost, and its list does not show the bonus yet."""
    turk_api.faults.append(Fault("SendBonus", 503, done=True))
    status, _, err = run("bonus", turk_study, "SUBADA", *BONUS)
    assert (status, len(turk_api.bonuses)) == (1, 1)
    assert "SUBADA: not known to be paid; repeat the command: Mechanical Turk: 503" in err
    paid = turk_api.bonuses.pop()
    assert run("bonus", turk_study, "SUBADA", *BONUS)[0] == 0
    assert turk_api.bonuses == []
    turk_api.bonuses.append(paid)
    assert "0 to pay" in run("bonus", turk_study, "SUBADA", *BONUS)[1]


@pytest.mark.parametrize("lists", [True, False], ids=["listed", "not listed"])
def test_bonuses_of_prolific_are_never_paid_twice(
    reaper: Reaper, prolific_api: ProlificStandIn, prolific_study: Path, run: Run, lists: bool
):
    """Its second request pays twice if it is sent twice. What may have been paid is named, and paid by --again only."""
    prolific_api.lists_bonuses = lists
    trials, unknown = Trials(reaper, prolific_api, prolific_study, run), 0
    for at, (status, _, err) in trials.each("bonus", *BONUS):
        once = sorted(set(prolific_api.paid))
        assert sorted(prolific_api.paid) == once, at
        if status == 0:
            assert once == [("SUBADA", 50), ("SUBCID", 50)], at
            continue
        unknown += 1
        assert status == 1
        assert err.count("Prolific does not list it yet") == 2
        if not once:
            assert run("bonus", prolific_study, *BONUS, "--again")[0] == 0
            assert sorted(prolific_api.paid) == [("SUBADA", 50), ("SUBCID", 50)], at
    # After the entry is written and before the request is sent; without a list also until the answer is recorded.
    assert unknown == (2 if lists else 4)


def test_a_new_study_is_made_once(reaper: Reaper, prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    """And its id and code are on the admin page, whatever was recorded."""
    store = _store(prolific_study)
    store.crowd = Crowd(anonymous=False)
    store.engine.dispose()
    trials = Trials(reaper, prolific_api, prolific_study, run)
    for at, (status, _, err) in trials.each("publish", "--platform", "prolific", *OFFER):
        assert status == 0, (at, err)
        made = [one for one in prolific_api.studies.values() if one["internal_name"]]
        assert [(one["status"], one["total_available_places"], one["reward"]) for one in made] == [("ACTIVE", 11, 320)]
        crowd = _store(prolific_study).crowd
        assert crowd.prolific_study == made[0]["id"], at
        assert crowd.prolific_completion == made[0]["completion_codes"][0]["code"], at


def test_a_process_that_is_killed_between_sent_and_recorded(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run
):
    """SIGKILL when Prolific has approved and before it answers."""
    child = os.fork()
    if child == 0:
        prolific_api.after = lambda name: None
        try:
            run("approve", prolific_study, "--send")
        finally:
            os._exit(1)
    prolific_api.after = lambda name: os.kill(child, signal.SIGKILL) if "transition" in name else None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert prolific_api.decided == [("SUBADA", "APPROVED")]
    assert _unsettled(prolific_study) == ["approve SUBADA"]
    prolific_api.after = lambda name: None
    status, out, _ = run("approve", prolific_study, "--send")
    assert (status, "1 to approve" in out) == (0, True)
    assert prolific_api.decided == [("SUBADA", "APPROVED"), ("SUBCID", "APPROVED")]
    assert _unsettled(prolific_study) == []


def _copy(source: Path, target: Path) -> None:
    """Copy a database, also into one that a command before has open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def _store(study: Path) -> Store:
    from earmark.mushra_app.database.store import open_store
    from earmark.mushra_app.study.study import load

    return open_store(load(study), study)


def _unsettled(study: Path) -> list[str]:
    store = _store(study)
    found = [key for key, entry in Journal(store).entries("").items() if entry.done is None]
    store.engine.dispose()
    return found
