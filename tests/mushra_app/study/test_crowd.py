"""Listeners from Prolific, Mechanical Turk, personal and open links: admission, once each, and the way back."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from flask import Flask

from earmark.codec.errors import UserError
from earmark.mushra_app.database import store as stores
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study.crowd import (
    Arrival,
    ArrivalError,
    Crowd,
    prolific_address,
    prolific_code,
    read_arrival,
    turk_question,
    way_back,
)
from earmark.mushra_app.web import create_app
from earmark.mushra_app.web.invitations import invitation
from earmark.mushra_app.web.listener_rows import all_listeners
from earmark.mushra_app.web.overview import overview
from tests.mushra_app.visitor import Visitor, attribute, field

PROLIFIC = "/?PROLIFIC_PID=60fd9a0c&STUDY_ID=610aa6c4&SESSION_ID=62b1b7ce"
TURK = "https://www.mturk.com"
HIT = f"/?assignmentId=3GU1KF0O&hitId=36ZN444Y&workerId=A2YC6PEM&turkSubmitTo={TURK}"
OPEN = Crowd(anonymous=True, prolific_completion="C1DONE", prolific_screen_out="C2OUT", prolific_no_consent="C3NO",
             mturk=True)  # fmt: skip


@pytest.fixture
def app(study_folder: Path) -> Flask:
    app = create_app(study_folder)
    store_of(app).crowd = OPEN
    return app


def store_of(app: Flask) -> Store:
    return app.extensions["earmark"].store


def take_all(visitor: Visitor, path: str) -> str:
    """Complete a session; returns the text of the last page."""
    visitor.begin(path)
    while visitor.get("/continue").request.path == "/trial":
        visitor.rate(visitor.trial())
    return visitor.get("/thanks").text


# Prolific


def test_a_participant_of_prolific_is_known_and_returns_with_the_code(app: Flask):
    assert 'href="https://app.prolific.com/submissions/complete?cc=C1DONE"' in take_all(Visitor(app), PROLIFIC)
    listener = store_of(app).participation(Arrival("prolific", "60fd9a0c"))
    assert (listener.state, listener.visit) == ("finished", "62b1b7ce")
    ids = {"PROLIFIC_PID": "60fd9a0c", "STUDY_ID": "610aa6c4", "SESSION_ID": "62b1b7ce"}
    assert listener.arrival == ids


def test_a_participant_who_does_not_consent_returns_with_that_code(app: Flask):
    visitor = Visitor(app)
    assert 'href="/declined"' in visitor.get(PROLIFIC).text
    assert "complete?cc=C3NO" in visitor.get("/declined").text
    assert store_of(app).participation(Arrival("prolific", "60fd9a0c")) is None


def test_a_participant_who_is_turned_away_returns_with_that_code(app: Flask):
    visitor, store = Visitor(app), store_of(app)
    visitor.post("/start", data={"token": field(visitor.get(PROLIFIC).text, "token"), "consent": "yes"})
    listener = store.participation(Arrival("prolific", "60fd9a0c"))
    store.complete(listener.key, store.listener(listener.key).open_step.key, None, "the headphone check was not passed")
    page = visitor.get("/continue")
    assert page.request.path == "/thanks"
    assert "the headphone check was not passed" in page.text
    assert "complete?cc=C2OUT" in page.text


def test_a_submission_continues_in_another_browser(app: Flask):
    first, second = Visitor(app), Visitor(app)
    first.begin(PROLIFIC)
    first.rate(first.trial())
    assert second.get(PROLIFIC).request.path == "/trial"
    assert second.trial().stimuli == first.trial().stimuli


def test_one_participation_per_person(app: Flask):
    take_all(Visitor(app), PROLIFIC)
    again = Visitor(app).get(PROLIFIC.replace("62b1b7ce", "63c2c8df"))
    assert "You were here before" in again.text
    assert "C1DONE" not in again.text


def test_a_second_person_at_the_same_computer_is_another_listener(app: Flask):
    visitor = Visitor(app)
    take_all(visitor, PROLIFIC)
    assert take_all(visitor, PROLIFIC.replace("60fd9a0c", "60fd9a0d")).count("cc=C1DONE") == 1
    assert store_of(app).participation(Arrival("prolific", "60fd9a0d")).id == 2


def test_without_a_completion_code_nobody_is_admitted_from_prolific(app: Flask):
    store_of(app).crowd = Crowd()
    page = Visitor(app).get(PROLIFIC)
    assert "takes no listeners by this address" in page.text
    assert 'name="consent"' not in page.text


def test_only_participants_of_the_named_study_are_admitted_from_prolific(app: Flask):
    store_of(app).crowd = Crowd(prolific_completion="C1DONE", prolific_study="610aa6c4")
    assert 'name="consent"' in Visitor(app).get(PROLIFIC).text
    page = Visitor(app).get(PROLIFIC.replace("610aa6c4", "610aa6c5")).text
    assert "takes no listeners by this address" in page
    assert "C1DONE" not in page


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        ("", ""), (" C1ABC \n", "C1ABC"), ("https://app.prolific.com/submissions/complete?cc=C1ABC", "C1ABC"),
        ("app.prolific.com/submissions/complete?x=1&cc=C1ABC#top", "C1ABC"),
    ],
)  # fmt: skip
def test_a_code_can_be_pasted_with_its_address(pasted: str, code: str):
    assert prolific_code(pasted) == code


@pytest.mark.parametrize("pasted", ["C1 ABC", "<b>", "https://app.prolific.com/submissions/complete", "?cc="])
def test_text_without_a_code_is_refused(pasted: str):
    with pytest.raises(UserError, match="is not a code of Prolific, which has only letters"):
        prolific_code(pasted)


def test_a_closed_study_asks_to_return_the_submission(app: Flask):
    store_of(app).set_gate("closed")
    page = Visitor(app).get(PROLIFIC).text
    assert "is closed" in page
    assert "return your submission" in page


@pytest.mark.parametrize(
    "query",
    [
        "?PROLIFIC_PID=x", "?PROLIFIC_PID=&STUDY_ID=a&SESSION_ID=b", "?PROLIFIC_PID=%00&STUDY_ID=a&SESSION_ID=b",
        "?PROLIFIC_PID=<script>alert(1)</script>&STUDY_ID=a&SESSION_ID=b",
        "?PROLIFIC_PID={{%25PROLIFIC_PID%25}}&STUDY_ID=a&SESSION_ID=b",
        f"?PROLIFIC_PID={'a' * 129}&STUDY_ID=a&SESSION_ID=b", "?assignmentId=x", "?invitation=forged",
    ],
)  # fmt: skip
def test_damaged_addresses_are_refused(app: Flask, query: str):
    page = Visitor(app).get(f"/{query}")
    assert page.status_code in (400, 404)
    assert "<script>alert" not in page.text
    assert 'name="consent"' not in page.text


# Mechanical Turk


def test_a_preview_stores_nothing_and_cannot_begin(app: Flask):
    visitor = Visitor(app)
    page = visitor.get("/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=36ZN444Y")
    assert "This is a preview" in page.text
    assert "<form" not in page.text
    assert "Set-Cookie" not in page.headers


def test_a_worker_submits_to_amazon(app: Flask):
    page = take_all(Visitor(app), HIT)
    listener = store_of(app).participation(Arrival("mturk", "A2YC6PEM"))
    assert f'<form method="post" action="{TURK}/mturk/externalSubmit">' in page
    assert field(page, "assignmentId") == "3GU1KF0O"
    assert field(page, "receipt") == listener.receipt
    assert re.fullmatch("L0001-[0-9a-f]{6}-[0-9a-f]{10}", listener.receipt)


ACCEPTED_AGAIN = HIT.replace("3GU1KF0O", "3SECOND0")


def test_a_hit_that_was_accepted_again_is_submitted(app: Flask):
    visitor = Visitor(app)
    visitor.begin(HIT)
    visitor.rate(visitor.trial())
    assert visitor.get(ACCEPTED_AGAIN).request.path == "/trial"
    assert visitor.trial().title == "Trial 2 of 3"
    while visitor.get("/continue").request.path == "/trial":
        visitor.rate(visitor.trial())
    assert field(visitor.get("/thanks").text, "assignmentId") == "3SECOND0"
    listener = store_of(app).participation(Arrival("mturk", "A2YC6PEM"))
    assert (listener.id, listener.visit) == (1, "3SECOND0")
    assert listener.arrival["assignmentId"] == "3SECOND0"


def test_a_worker_who_has_finished_cannot_take_another_hit(app: Flask):
    """The same assignment shows its form again; another one has no form."""
    visitor = Visitor(app)
    take_all(visitor, HIT)
    page = visitor.get(ACCEPTED_AGAIN).text
    assert "You were here before" in page
    assert "return the HIT" in page
    assert 'name="assignmentId"' not in page
    assert field(visitor.get(HIT).text, "assignmentId") == "3GU1KF0O"


def test_a_worker_who_has_stopped_cannot_continue_with_another_hit(app: Flask):
    visitor = Visitor(app)
    visitor.begin(HIT)
    visitor.rate(visitor.trial())
    visitor.post("/stop", data={"token": visitor.trial().token})
    assert "You were here before" in visitor.get(ACCEPTED_AGAIN).text


def test_another_browser_cannot_take_over_a_worker_s_session(app: Flask):
    """Worker ids are not secret, assignments are. Without cookie and assignment there is no access."""
    first, second = Visitor(app), Visitor(app)
    first.begin(HIT)
    assert 'name="consent"' in second.get(ACCEPTED_AGAIN).text
    second.begin(ACCEPTED_AGAIN)
    assert not set(second.trial().stimuli) & set(first.trial().stimuli)
    assert store_of(app).participation(Arrival("mturk", "A2YC6PEM", "3GU1KF0O")).id == 1


def test_a_session_in_another_person_s_name_does_not_lock_that_person_out(app: Flask):
    """Eve opens the link with Ada's Prolific id and begins; Ada takes part all the same, and both are flagged."""
    Visitor(app).begin(PROLIFIC.replace("62b1b7ce", "made-up"))
    assert "cc=C1DONE" in take_all(Visitor(app), PROLIFIC)
    flags = [row.flags for row in all_listeners(store_of(app))]
    labels = [row.listener.label for row in all_listeners(store_of(app))]
    assert f"the same id as {labels[1]}" in flags[0]
    assert f"the same id as {labels[0]}" in flags[1]


def test_a_link_of_a_platform_leaves_a_running_session_alone(app: Flask):
    """Anybody can post a link with made-up platform parameters; only consent there ends the open session."""
    visitor = Visitor(app)
    visitor.begin()
    visitor.rate(visitor.trial())
    before = visitor.trial()
    assert "Another session is open in this browser" in visitor.get(PROLIFIC).text
    assert visitor.trial() == before
    assert visitor.begin(PROLIFIC).request.path == "/trial"
    assert visitor.trial().stimuli != before.stimuli


def test_a_link_of_another_person_s_session_does_not_replace_a_running_one(app: Flask):
    """Eve sends the link of a session that she began, so that Ada would rate in it."""
    Visitor(app).begin(PROLIFIC)
    ada = Visitor(app)
    ada.begin()
    before = ada.trial()
    page = ada.get(PROLIFIC)
    assert "Which one is yours?" in page.text
    assert ada.trial() == before
    assert ada.post("/switch", data={"token": "guess"}).status_code == 403
    assert ada.post("/switch", data={"token": field(page.text, "token")}).request.path == "/trial"
    assert ada.trial().stimuli != before.stimuli


def test_a_session_without_its_trials_gets_no_code(app: Flask, monkeypatch: pytest.MonkeyPatch):
    """Ada stays on the volume page while others take all places: no completion code for zero trials."""
    ada = Visitor(app)
    ada.post("/start", data={"token": field(ada.get(PROLIFIC).text, "token"), "consent": "yes"})
    now = time.time() + 2 * stores.LEASE_SECONDS
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(3):
        take_all(Visitor(app), PROLIFIC.replace("60fd9a0c", f"other{number}"))
    ada.go_on(ada.get("/continue"))
    page = ada.get("/trial")
    assert page.request.path == "/thanks"
    assert "C1DONE" not in page.text
    assert "Please return your submission on Prolific" in page.text
    view = overview(store_of(app))
    assert view.states["not begun"] == 1
    assert view.minutes is not None


@pytest.mark.parametrize(
    "host", ["", "https://evil.example", "https://www.mturk.com.evil.example", "http://www.mturk.com", "javascript:0"]
)
def test_results_go_to_amazon_only(host: str):
    query = {"assignmentId": "a", "hitId": "b", "workerId": "c", "turkSubmitTo": host}
    with pytest.raises(ArrivalError, match="does not come from Mechanical Turk"):
        read_arrival(query)


def test_the_sandbox_belongs_to_amazon():
    query = {"assignmentId": "a", "hitId": "b", "workerId": "c", "turkSubmitTo": "https://workersandbox.mturk.com/"}
    assert read_arrival(query).details["turkSubmitTo"] == "https://workersandbox.mturk.com"


def test_only_a_turk_worker_gets_a_cookie_for_frames(study_folder: Path):
    """In the frame of another site, browsers send only Secure, SameSite=None, Partitioned cookies."""
    app = create_app(study_folder)
    store_of(app).crowd = OPEN
    secure = {"base_url": "https://listen.example"}
    framed = app.test_client().get(HIT, **secure).headers["Set-Cookie"]
    assert all(word in framed for word in ("Secure", "SameSite=None", "Partitioned", "HttpOnly"))
    plain = app.test_client().get("/", **secure).headers["Set-Cookie"]
    assert "Secure" in plain
    assert "SameSite=Lax" in plain


def test_amazon_can_frame_the_test_and_receive_its_form(app: Flask):
    policy = app.test_client().get("/").headers["Content-Security-Policy"]
    assert "frame-ancestors 'self' https://*.mturk.com;" in f"{policy};"
    assert f"form-action 'self' {TURK} https://workersandbox.mturk.com;" in policy


def test_a_worker_who_stops_is_asked_to_return_the_hit():
    back = way_back(Arrival("mturk", "A", "B", {"assignmentId": "B"}), OPEN, "left")
    assert (back.address, "return the HIT" in back.label) == ("", True)


# Links


def test_a_personal_link_works_once_and_in_any_browser(app: Flask):
    with app.test_request_context():
        ada, bob = invitation("Ada"), invitation("Bob")
    first = Visitor(app)
    take_all(first, ada)
    assert Visitor(app).get(ada).request.path == "/thanks"
    assert store_of(app).participation(Arrival("personal", "Ada")).state == "finished"
    assert Visitor(app).begin(bob).request.path == "/trial"


def test_a_personal_link_cannot_be_forged(app: Flask):
    with app.test_request_context():
        link = invitation("Ada")
    head, _, signature = link.rpartition(".")
    for forged in (f"{head}.{signature[::-1]}", f"{head[:-3]}xyz.{signature}", head):
        assert Visitor(app).get(forged).status_code == 400


def test_a_personal_link_works_without_open_access(app: Flask):
    store_of(app).crowd = Crowd(anonymous=False)
    with app.test_request_context():
        link = invitation("Ada")
    assert "takes no listeners by this address" in Visitor(app).get("/").text
    assert Visitor(app).begin(link).request.path == "/trial"


def test_access_that_closes_while_somebody_reads_is_refused(app: Flask):
    visitor = Visitor(app)
    token = field(visitor.get("/").text, "token")
    store_of(app).crowd = Crowd(anonymous=False)
    assert visitor.post("/start", data={"token": token, "consent": "yes"}).status_code == 403


def test_a_listener_who_stops_is_thanked_and_cannot_continue(app: Flask):
    visitor = Visitor(app)
    visitor.begin()
    visitor.rate(visitor.trial())
    left_behind = visitor.trial()
    page = visitor.post("/stop", data={"token": left_behind.token})
    assert page.request.path == "/thanks"
    late = visitor.rate(left_behind)
    assert (late.status_code, late.json) == (400, {"error": "Your session is over, so nothing more is stored."})
    assert "The trials that you finished are stored" in page.text
    assert visitor.get("/trial").request.path == "/thanks"
    assert attribute(page.text, "action") == ["/leave"]


# Addresses


def test_addresses_for_the_platforms():
    assert prolific_address("https://x.org/") == (
        "https://x.org/?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert "<ExternalURL>https://x.org/</ExternalURL>" in turk_question("https://x.org/")


def test_a_person_whose_session_counts_after_all_does_not_begin_another(app: Flask):
    """The experimenter excludes Ada's session, which lets her come again, and includes it again."""
    take_all(Visitor(app), PROLIFIC)
    again = PROLIFIC.replace("62b1b7ce", "another")
    store_of(app).exclude(1, "excluded by the experimenter")
    assert 'name="consent"' in Visitor(app).get(again).text
    store_of(app).exclude(1, "")
    assert "You were here before" in Visitor(app).get(again).text
