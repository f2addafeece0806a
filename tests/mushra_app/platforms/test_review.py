"""Listing, approving and rejecting on both platforms."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from earmark.mushra_app.platforms import mechanical_turk, prolific_client, requests
from tests.mushra_app.platforms.conftest import SUBMISSIONS, Run
from tests.mushra_app.platforms.stand_in import Fault, ProlificStandIn, StandIn
from tests.mushra_app.platforms.stand_in_turk import TurkStandIn

REASON = (
    "Your submission has no ratings: the session was stopped before its first trial, so that nothing can be used here."
)
WAITING = ["SUBADA", "SUBCID"]  # those that passed


def approved(api: StandIn) -> list[str]:
    return [number for number, status in api.decided if status in ("APPROVED", "Approved")]


def test_submissions_are_listed_with_their_sessions(platform: tuple[StandIn, Path], run: Run):
    api, study = platform
    status, out, _ = run("submissions", study, "--format", "csv")
    assert status == 0
    rows = {row["submission"]: row for row in csv.DictReader(io.StringIO(out))}
    results = {name: rows[number]["result"] for name, number in SUBMISSIONS.items()}
    assert results["ada"] == results["cid"] == "passed"
    assert "hidden reference below 90 in 2 of 2 ratings" in results["bob"]
    assert results["dan"] == "stopped early"
    assert results["eve"] == "excluded by the experimenter"
    assert results["fay"] == "there is no session of this person and submission"
    assert rows["SUBADA"]["listener"].startswith("L0001-")
    assert (rows["SUBADA"]["participant"], rows["SUBADA"]["state"]) == ("AADA", "waiting")
    assert api.changes() == []


def test_another_rule_passes_others(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    _, out, _ = run("submissions", prolific_study, "--screen", "none")
    assert "3 passed by the rule none" in out


def test_a_receipt_of_another_session_does_not_pass(turk_api: TurkStandIn, turk_study: Path, run: Run):
    """A worker who copies a code, but came with the assignment of a session."""
    turk_api.assignments["SUBCID"]["Answer"] = turk_api.assignments["SUBADA"]["Answer"]
    _, out, _ = run("approve", turk_study)
    assert "approve SUBADA" in out
    assert "SUBCID" not in out


def test_nothing_is_sent_without_send(platform: tuple[StandIn, Path], run: Run):
    api, study = platform
    status, out, err = run("approve", study)
    assert status == 0
    assert "approve SUBADA of AADA, L0001-" in out
    assert "6 of 6 submissions wait for review; 2 to approve" in out
    assert err.endswith("dry run: nothing was sent; --send sends it\n")
    assert run("reject", study, "SUBDAN", "--reason", REASON)[0] == 0
    assert run("bonus", study, "--amount", "1", "--reason", "x")[0] == 0
    assert run("publish", study, "--places", 20, "--url", "https://x.example/")[0] == 0
    assert api.changes() == []


def test_those_that_passed_are_approved_once(platform: tuple[StandIn, Path], run: Run):
    api, study = platform
    status, out, _ = run("approve", study, "--send")
    assert (status, approved(api)) == (0, WAITING)
    assert "2 approved" in out
    status, out, _ = run("approve", study, "--send")
    assert (status, approved(api)) == (0, WAITING)
    assert "0 to approve" in out


def test_those_who_finished_can_be_approved_too(turk_api: TurkStandIn, turk_study: Path, run: Run):
    """Whom the rule drops or the experimenter excluded has done the work; who stopped has not."""
    api, study = turk_api, turk_study
    _, out, _ = run("approve", study, "--finished", "--send")
    assert approved(api) == ["SUBADA", "SUBBOB", "SUBCID", "SUBEVE"]
    printed = {line.split()[1]: line for line in out.splitlines() if line.startswith("approve ")}
    assert printed["SUBEVE"].endswith(": excluded by the experimenter")
    assert ": hidden reference below 90 in 2 of 2 ratings" in printed["SUBBOB"]
    assert re.fullmatch(r"approve SUBADA of AADA, L0001-\w+", printed["SUBADA"])
    help_text = " ".join(run("approve", "--help")[1].split())
    assert "did not pass, by the rule or by hand" in help_text


def test_a_named_submission_is_approved(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    """By its id, its participant or its listener."""
    api, study = prolific_api, prolific_study
    run("approve", study, "SUBBOB", "AADA", "--send")
    assert approved(api) == ["SUBBOB", "SUBADA"]
    status, _, err = run("approve", study, "SUBZOE", "--send")
    assert status == 2
    assert err == "earmark: SUBZOE: there is no such submission; `earmark study submissions` lists them\n"


def test_a_sum_above_most_is_refused(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    """2 at 3.20 are 6.40."""
    status, _, err = run("approve", prolific_study, "--most", "6.39", "--send")
    assert (status, prolific_api.changes()) == (2, [])
    assert err == "earmark: --most: 6.40 GBP is more than 6.39 GBP; nothing was sent\n"
    assert run("approve", prolific_study, "--most", "6.40", "--send")[0] == 0


def test_a_rejection_has_its_reason(platform: tuple[StandIn, Path], run: Run):
    api, study = platform
    status, out, _ = run("reject", study, "SUBDAN", "--reason", REASON, "--send")
    assert status == 0
    assert "reject SUBDAN of ADAN: stopped early" in out
    assert [number for number, _ in api.decided] == ["SUBDAN"]
    run("reject", study, "SUBDAN", "--reason", REASON, "--send")
    assert len(api.decided) == 1
    if isinstance(api, ProlificStandIn):
        assert api.reasons == {"SUBDAN": (REASON, "OTHER")}


def test_those_that_passed_are_never_rejected(turk_api: TurkStandIn, turk_study: Path, run: Run):
    """The others go on."""
    api, study = turk_api, turk_study
    status, _, err = run("reject", study, "SUBADA", "SUBFAY", "--reason", REASON, "--send")
    assert (status, [number for number, _ in api.decided]) == (1, ["SUBFAY"])
    assert "SUBADA (L0001-" in err
    assert "passed by the rule paper, and is not rejected" in err


def test_what_was_approved_is_not_rejected_and_the_other_way_round(turk_api: TurkStandIn, turk_study: Path, run: Run):
    api, study = turk_api, turk_study
    run("approve", study, "SUBBOB", "--send")
    status, _, err = run("reject", study, "SUBBOB", "--reason", REASON, "--send")
    assert (status, len(api.decided)) == (1, 1)
    assert "cannot be rejected: its status is" in err
    run("reject", study, "SUBFAY", "--reason", REASON, "--send")
    assert run("approve", study, "SUBFAY", "--send")[0] == 1
    assert len(api.decided) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reason", "too short"], "Prolific asks for 100 to 10000 characters; these are 9"),
        (["--reason", REASON, "--category", "LAZY"], "--category LAZY: Prolific has no such category; there are OTHER"),
    ],
)
def test_a_reason_that_prolific_would_refuse(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run, options: list[str], message: str
):
    status, _, err = run("reject", prolific_study, "SUBDAN", *options, "--send")
    assert (status, prolific_api.changes()) == (2, [])
    assert message in err


# Failures


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("SUBADA/transition", 500), ": not approved: Prolific: 500\n"),
        (Fault("SUBADA/transition", 502, done=True), ": not approved: Prolific: 502\n"),
        (Fault("SUBADA/transition", 403, body='{"error": {"detail": "no"}}'), "Prolific: 403: no\n"),
        (Fault("SUBADA/transition", 0), "cannot be reached (Remote end closed connection without response)\n"),
        (Fault("SUBADA/transition", 0, done=True), "cannot be reached"),
        (Fault("SUBADA/transition", 200, seconds=0.4), "Prolific: no answer within 0.1 s\n"),
        (Fault("SUBADA/transition", 429, headers={"Retry-After": "3600"}), "(429); repeat the command in 3600 s"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.status}-{value.done}",
)  # fmt: skip
def test_one_that_fails_does_not_stop_the_others(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run, monkeypatch, fault: Fault, message: str
):
    """Each is one line, the status is 1, and the repetition approves what is missing, once."""
    monkeypatch.setattr(requests, "TIMEOUT_SECONDS", 0.1 if fault.seconds else 5)
    prolific_api.faults.append(fault)
    status, out, err = run("approve", prolific_study, "--send")
    assert status == 1
    assert "1 approved" in out
    (line,) = [line for line in err.splitlines(keepends=True) if line.startswith("earmark: ")]
    assert "SUBADA (L0001-" in line
    assert message in line
    assert run("approve", prolific_study, "--send")[0] == 0
    assert sorted(prolific_api.decided) == [("SUBADA", "APPROVED"), ("SUBCID", "APPROVED")]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "7"}, 7), ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0), ({}, 1)],
    ids=["seconds", "date", "nothing"],
)
def test_a_request_is_repeated_when_the_platform_asks_to_wait(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run, monkeypatch, headers: dict[str, str], seconds: float
):
    """Retry-After has seconds or a date (RFC 9110, 10.2.3)."""
    waited: list[float] = []
    monkeypatch.setattr(requests, "wait", waited.append)
    prolific_api.faults += [Fault("SUBADA/transition", 429, headers=headers)] * 2
    assert run("approve", prolific_study, "--send")[0] == 0
    assert waited == [seconds, seconds]
    assert sorted(approved(prolific_api)) == WAITING


def test_amazon_s_throttling_is_waited_for(turk_api: TurkStandIn, turk_study: Path, run: Run, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(requests, "wait", waited.append)
    body = '{"__type": "ThrottlingException", "message": "Rate exceeded"}'
    turk_api.faults += [Fault("ApproveAssignment", 400, body=body)] * 3
    status, out, err = run("approve", turk_study, "--send")
    assert (status, waited, approved(turk_api)) == (1, [1.0, 1.0], ["SUBCID"])
    assert "2 to approve; 8.00 USD without the fee" in out
    assert "too many requests (400); repeat the command in 1 s or later" in err


def test_amazon_says_that_it_was_approved_already(turk_api: TurkStandIn, turk_study: Path, run: Run):
    """The answer was lost, and the worker's assignment is approved: no error."""
    turk_api.faults.append(Fault("ApproveAssignment", 503, done=True))
    assert run("approve", turk_study, "--send")[0] == 0
    assert approved(turk_api) == WAITING


def test_a_list_that_fails_refuses_the_command(platform: tuple[StandIn, Path], run: Run):
    api, study = platform
    api.faults.append(Fault("Assignments" if isinstance(api, TurkStandIn) else "/submissions/", 503))
    status, _, err = run("approve", study, "--send")
    assert (status, api.changes()) == (2, [])
    assert err.endswith(": 503\n")
    assert err.count("\n") == 1


# Keys


def test_a_wrong_key_is_explained(platform: tuple[StandIn, Path], run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(prolific_client.KEY, "another")
    monkeypatch.setenv(mechanical_turk.KEYS[1], "another")
    status, _, err = run("submissions", platform[1])
    assert status == 2
    assert "401: Authentication credentials" in err or "400: The request signature differs" in err


@pytest.mark.parametrize("variable", [prolific_client.KEY, *mechanical_turk.KEYS[:2]])
def test_a_missing_key_is_named(request: pytest.FixtureRequest, run: Run, monkeypatch, variable: str):
    name = "prolific" if variable == prolific_client.KEY else "turk"
    request.getfixturevalue(f"{name}_api")
    monkeypatch.delenv(variable)
    status, _, err = run("submissions", request.getfixturevalue(f"{name}_study"))
    assert status == 2
    assert f"the environment variable {variable} is not set" in err


# Which platform


@pytest.mark.parametrize("name", ["connect", "sona", "toloka", "panel"])
def test_platforms_without_commands_say_so(prolific_study: Path, run: Run, name: str):
    table = f'[platform]\nname = "{name}"\nparticipant = "pid"\ncode = "C"\n'
    (prolific_study / "session.toml").write_text(table, encoding="utf-8")
    status, _, err = run("approve", prolific_study, "--send")
    assert status == 2
    assert err.startswith(f"earmark: {name}: Earmark does not use this platform's API; approve and pay there")
    assert err.count("\n") == 1


def test_a_study_of_no_platform(study_folder: Path, run: Run):
    status, _, err = run("publish", study_folder, "--places", 3)
    assert status == 2
    assert "the study names no platform; choose one by --platform prolific|mturk" in err
    assert "nobody has taken this test yet" not in err
