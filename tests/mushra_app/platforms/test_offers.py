"""Publishing and bonuses: what is sent, ceilings, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.mushra_app.database.store import open_store
from earmark.mushra_app.platforms import prolific_bonuses
from earmark.mushra_app.study.crowd import Crowd, prolific_address
from earmark.mushra_app.study.study import load
from tests.mushra_app.platforms.conftest import STUDY, Run
from tests.mushra_app.platforms.stand_in import Fault, ProlificStandIn, StandIn
from tests.mushra_app.platforms.stand_in_turk import TurkStandIn

URL = ("--url", "https://listen.example.org/")
HALF = ("--amount", "0.50", "--reason", "Careful work")


def test_a_new_study_of_prolific(prolific_api: ProlificStandIn, study_folder: Path, run: Run):
    """20 minutes at the admin page's 12.00 an hour are 4.00; 3 places 12.00."""
    publish = ("publish", study_folder, "--platform", "prolific", "--places", 3, "--minutes", 20, *URL)
    status, out, err = run(*publish)
    assert status == 0
    assert "create a study of 3 places at 4.00 GBP for 20 min: opus against mp3\n" in out
    assert "2 changes; 12.00 GBP in rewards, without the fee" in out
    assert "the open link admits anybody" in err
    status, _, err = run(*publish, "--send")
    assert (status, prolific_api.changes()) == (2, [])
    assert "--send needs --most, the most that you would pay: at least 12.00 GBP here" in err
    assert run(*publish, "--most", "11.99", "--send")[0] == 2
    assert run(*publish, "--most", "12", "--send")[0] == 0
    (made,) = (one for one in prolific_api.studies.values() if one["internal_name"])
    assert made["external_study_url"] == (
        "https://listen.example.org/?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert (made["status"], made["reward"], made["total_available_places"]) == ("ACTIVE", 400, 3)
    assert made["completion_codes"][0]["actions"] == [{"action": "MANUALLY_REVIEW"}]
    store = open_store(load(study_folder), study_folder)
    assert store.crowd.prolific_study == made["id"]
    assert store.crowd.prolific_completion == made["completion_codes"][0]["code"]
    assert "nothing to do" in run(*publish, "--most", "12", "--send")[1]


def test_a_draft_that_was_made_by_hand_is_published(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    prolific_api.studies[STUDY]["status"] = "UNPUBLISHED"
    status, out, _ = run("publish", prolific_study, "--places", 10, "--most", "32", "--send")
    assert status == 0
    assert "1 change; 32.00 GBP in rewards" in out
    assert prolific_api.changes() == [f"POST /api/v1/studies/{STUDY}/transition/"]
    prolific_api.studies[STUDY]["status"] = "UNPUBLISHED"
    status, out, _ = run("publish", prolific_study, "--places", 12, "--most", "40", "--send")
    assert "2 changes; 38.40 GBP in rewards" in out


@pytest.fixture
def signed_study(study_folder: Path) -> Path:
    pytest.importorskip("jwt")
    (study_folder / "session.toml").write_text('[platform]\nname = "prolific"\nsigned = true\n', encoding="utf-8")
    return study_folder


PLACES = ("--places", 3, "--minutes", 20, *URL)


def test_a_study_that_asks_for_signatures_is_made_with_them(
    prolific_api: ProlificStandIn, signed_study: Path, run: Run
):
    """Otherwise every participant is refused. The field is that of Prolific's own client (CreateStudy)."""
    assert run("publish", signed_study, *PLACES, "--most", "12", "--send")[0] == 0
    (made,) = (one for one in prolific_api.studies.values() if one["internal_name"])
    assert made["is_external_study_url_secure"] is True


def test_a_study_without_signatures_does_not_ask_for_them(prolific_api: ProlificStandIn, study_folder: Path, run: Run):
    assert run("publish", study_folder, "--platform", "prolific", *PLACES, "--most", "12", "--send")[0] == 0
    (made,) = (one for one in prolific_api.studies.values() if one["internal_name"])
    assert not made.get("is_external_study_url_secure")


@pytest.mark.parametrize("status", ["UNPUBLISHED", "ACTIVE"])
def test_a_study_that_exists_without_signatures(
    prolific_api: ProlificStandIn, signed_study: Path, run: Run, status: str
):
    """A draft is mended; one that is published would refuse everybody."""
    prolific_api.studies[STUDY] |= {"status": status, "is_external_study_url_secure": False}
    store = open_store(load(signed_study), signed_study)
    store.crowd = Crowd(prolific_completion="C1DONE", prolific_study=STUDY)
    store.engine.dispose()
    ended, out, err = run("publish", signed_study, "--places", 10, "--most", "32", "--send")
    if status == "UNPUBLISHED":
        assert (ended, prolific_api.studies[STUDY]["status"]) == (0, "ACTIVE")
        assert prolific_api.studies[STUDY]["is_external_study_url_secure"] is True
        assert out.startswith(f"let Prolific sign the addresses of study {STUDY}\npublish it")
    else:
        assert (ended, prolific_api.changes()) == (2, [])
        assert "published without signed addresses, but session.toml has signed = true" in err


def test_a_preview_shows_what_is_sent(prolific_api: ProlificStandIn, study_folder: Path, run: Run):
    publish = ("publish", study_folder, "--platform", "prolific", *PLACES, "--description", "Rate some sounds.")
    preview = run(*publish)[1]
    assert run(*publish)[1] == preview
    assert run(*publish, "--most", "12", "--send")[0] == 0
    (made,) = (one for one in prolific_api.studies.values() if one["internal_name"])
    assert made["device_compatibility"] == ["desktop"]
    assert "  devices: computers with sound; Prolific shows the study on no phone or tablet\n" in preview
    assert f"  completion code: {made['completion_codes'][0]['code']}, reviewed by hand\n" in preview
    assert "  description: Rate some sounds.\n" in preview
    assert f"  address: {made['external_study_url']}\n" in preview


def test_two_databases_have_two_completion_codes(prolific_api: ProlificStandIn, make_study, tmp_path: Path, run: Run):
    codes = set()
    for name in ("one", "two"):
        make_study(tmp_path / name)
        out = run("publish", tmp_path / name, "--platform", "prolific", *PLACES)[1]
        codes.add(out.partition("completion code: ")[2].partition(",")[0])
    assert len(codes) == 2


def test_a_preview_of_hits_shows_what_is_sent(turk_api: TurkStandIn, turk_study: Path, run: Run):
    publish = ("publish", turk_study, "--places", 9, "--reward", "3.20", *URL, "--description", "Rate some sounds.")
    out = run(*publish)[1]
    assert "  description: Rate some sounds.\n  address: https://listen.example.org/\n" in out
    assert "offered for 7 days; approved without review after 7 days" in out


@pytest.mark.parametrize(
    ("option", "value", "there"),
    [("--reward", "4.00", "3.20 GBP"), ("--title", "Other", "Mine"), ("--url", "https://b.example/", "https://a.example/")],
)  # fmt: skip
def test_what_cannot_be_changed_any_more_is_refused(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run, option: str, value: str, there: str
):
    prolific_api.studies[STUDY] |= {"name": "Mine", "external_study_url": prolific_address("https://a.example/")}
    status, _, err = run("publish", prolific_study, "--places", 12, option, value, "--most", "40", "--send")
    assert (status, prolific_api.changes()) == (2, [])
    assert f"{option} (there: {there}" in err
    same = ("--reward", "3.20", "--title", "Mine", "--url", "https://a.example")
    assert run("publish", prolific_study, "--places", 12, *same, "--most", "40", "--send")[0] == 0


def test_hits_of_at_most_nine(turk_api: TurkStandIn, turk_study: Path, run: Run):
    status, out, _ = run("publish", turk_study, "--places", 12, "--reward", "3.20", "--most", "38.40", *URL, "--send")
    assert status == 0
    assert "create a HIT of 9 assignments at 3.20 USD: opus against mp3" in out
    hits = list(turk_api.hits.values())
    assert [(hit["MaxAssignments"], hit["Reward"]) for hit in hits] == [(9, "3.20"), (3, "3.20")]
    assert "<ExternalURL>https://listen.example.org/</ExternalURL>" in hits[0]["Question"]
    status, out, _ = run("publish", turk_study, "--places", 14, "--reward", "3.20", "--most", "9", *URL, "--send")
    assert [hit["MaxAssignments"] for hit in turk_api.hits.values()] == [9, 3, 2]
    for number in turk_api.hits:
        turk_api.assignments[f"NEW{number}"] = {
            "AssignmentId": f"NEW{number}", "WorkerId": "ANEW", "HITId": number, "AssignmentStatus": "Submitted",
        }  # fmt: skip
    _, out, _ = run("submissions", turk_study)
    assert "9 submissions, 2 passed" in out


def test_workers_are_admitted(turk_api: TurkStandIn, study_folder: Path, run: Run):
    publish = ("publish", study_folder, "--platform", "mturk", "--places", 1, "--most", "9", "--send")
    status, _, err = run(*publish, "--url", "http://listen.example.org/")
    assert (status, turk_api.hits) == (2, {})
    assert "must begin with https://" in err
    assert run(*publish, *URL)[0] == 0
    assert open_store(load(study_folder), study_folder).crowd.mturk


def test_a_change_that_fails_ends_the_command_and_is_made_by_its_repetition(
    turk_api: TurkStandIn, turk_study: Path, run: Run
):
    turk_api.faults.append(Fault("CreateHIT", 503, done=True))
    publish = ("publish", turk_study, "--places", 12, "--reward", "3.20", "--most", "40", *URL, "--send")
    status, _, err = run(*publish)
    assert (status, len(turk_api.hits)) == (1, 1)
    assert err.startswith("earmark: create a HIT of 9 assignments at 3.20 USD: opus against mp3: Mechanical Turk: 503")
    assert run(*publish)[0] == 0
    assert [hit["MaxAssignments"] for hit in turk_api.hits.values()] == [9, 3]


def test_a_code_without_a_study_is_not_guessed_at(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    """There is a study that was made by hand, whose id nobody entered: no second one is made."""
    store = open_store(load(prolific_study), prolific_study)
    store.crowd = Crowd(prolific_completion="C1DONE")
    store.engine.dispose()
    status, _, err = run("publish", prolific_study, "--places", 3, *URL, "--most", "99", "--send")
    assert (status, prolific_api.changes()) == (2, [])
    assert "the admin page has a completion code and no study id" in err


# Bonuses


def test_a_bonus_is_paid_to_those_that_passed(platform: tuple[StandIn, Path], run: Run):
    api, study = platform
    status, out, _ = run("bonus", study, *HALF, "--most", "1.30", "--send")
    assert status == 0
    currency = "GBP" if isinstance(api, ProlificStandIn) else "USD"
    assert f"pay 0.50 {currency} to AADA for SUBADA" in out
    assert f"2 to pay under the name bonus; 1.00 {currency} without the fee: Careful work" in out
    again, out, _ = run("bonus", study, *HALF, "--most", "1.30", "--send")
    assert (again, "0 to pay" in out) == (0, True)
    paid = (
        [one for one, _ in api.paid] if isinstance(api, ProlificStandIn) else [b["AssignmentId"] for b in api.bonuses]
    )
    assert sorted(paid) == ["SUBADA", "SUBCID"]
    assert out.count("pay") == 1


def test_a_second_bonus_has_another_name(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    assert run("bonus", prolific_study, "SUBADA", *HALF, "--most", "9", "--send")[0] == 0
    status, _, err = run(
        "bonus", prolific_study, "SUBADA", "--amount", "0.60", "--reason", "x", "--most", "9", "--send"
    )
    assert status == 2
    assert "a bonus of 0.50 was sent under this name; choose another --name" in err
    assert run("bonus", prolific_study, "SUBADA", *HALF, "--name", "second", "--most", "9", "--send")[0] == 0
    assert prolific_api.paid == [("SUBADA", 50)] * 2


def test_the_ceiling_holds_with_prolific_s_fee(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    """2 bonuses of 0.50 cost 1.30 with the stand-in's fee of 30 %."""
    status, _, err = run("bonus", prolific_study, *HALF, "--most", "1.29", "--send")
    assert (status, prolific_api.paid) == (1, [])
    assert err.count("not paid: Prolific takes 1.30 GBP with its fee, which is more than --most allows") == 2
    assert run("bonus", prolific_study, *HALF, "--most", "1.30", "--send")[0] == 0
    assert len(prolific_api.paid) == 2


@pytest.mark.parametrize(
    "fault", [Fault("/pay/", 400, body='{"error": {"detail": "no balance"}}'), Fault("/pay/", 503)]
)
def test_a_refused_payment_is_paid_later_and_an_unknown_one_is_not(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run, fault: Fault
):
    pay = ("bonus", prolific_study, "SUBADA", *HALF, "--most", "9", "--send")
    prolific_api.faults.append(fault)
    status, _, err = run(*pay)
    assert status == 1
    refused = fault.status == 400
    assert ("SUBADA: not paid: Prolific: 400: no balance" if refused else "SUBADA: not known to be paid") in err
    status, _, err = run(*pay)
    assert (status, len(prolific_api.paid)) == ((0, 1) if refused else (1, 0))
    if not refused:
        other = run("bonus", prolific_study, "SUBADA", *HALF, "--name", "other", "--most", "9", "--send")
        assert (other[0], prolific_api.paid) == (1, [])
        assert "the bonus bonus is not known to be paid; repeat that first, by --name bonus" in other[2]


def test_many_bonuses_are_several_payments(
    prolific_api: ProlificStandIn, prolific_study: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prolific_bonuses, "MOST_AT_ONCE", 1)
    assert run("bonus", prolific_study, *HALF, "--most", "1.30", "--send")[0] == 0
    assert list(prolific_api.payments.values()) == [{"SUBADA": 50}, {"SUBCID": 50}]


def test_who_returned_gets_no_bonus(prolific_api: ProlificStandIn, prolific_study: Path, run: Run):
    prolific_api.submissions["SUBFAY"]["status"] = "RETURNED"
    status, _, err = run("bonus", prolific_study, "SUBFAY", *HALF, "--most", "9", "--send")
    assert (status, prolific_api.paid) == (1, [])
    assert "SUBFAY (no session): gets no bonus: its status is RETURNED" in err


def test_two_platforms_need_a_choice(prolific_study: Path, run: Run):
    store = open_store(load(prolific_study), prolific_study)
    store.crowd = Crowd(prolific_completion="C", mturk=True)
    store.engine.dispose()
    status, _, err = run("bonus", prolific_study, *HALF)
    assert status == 2
    assert "the admin page admits Prolific and Mechanical Turk; choose one by --platform prolific|mturk" in err
    assert (
        "--sandbox is for Mechanical Turk"
        in run("bonus", prolific_study, *HALF, "--platform", "prolific", "--sandbox")[2]
    )
