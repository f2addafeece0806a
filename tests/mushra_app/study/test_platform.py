"""Platforms named in session.toml: their parameters, admission, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from earmark.codec.errors import UserError
from earmark.mushra_app.cli import study_group
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study.crowd import Arrival, Crowd, read_arrival, way_back
from earmark.mushra_app.study.platform import PRESETS, read_platform
from earmark.mushra_app.study.study import load
from earmark.mushra_app.web import create_app
from earmark.mushra_app.web.serving import warnings
from tests.mushra_app.study.test_crowd import HIT, PROLIFIC, store_of, take_all
from tests.mushra_app.visitor import Visitor

PANEL = """
[platform]
name = "panel"
participant = "pid"
session = "visit"
study = "project"
study_id = "P7"
completed = "https://panel.example/done/{study}?who={participant}&visit={session}"
screened_out = "https://panel.example/out?who={participant}"
refused = "https://panel.example/no?who={participant}"
"""
ADA = "/?pid=ada@example.org&visit=v1&project=P7"
CONNECT = "/?participantId=0A1B&assignmentId=AS9&projectId=PR5"
CONNECT_DONE = "https://connect.cloudresearch.com/participant/project/57A4C0DE21/complete"
CONNECT_TABLE = f'[platform]\nname = "connect"\ncompleted = "{CONNECT_DONE}"\n'


def serve(folder: Path, settings: str) -> Flask:
    (folder / "session.toml").write_text(settings, encoding="utf-8")
    app = create_app(folder)
    store_of(app).crowd = Crowd(anonymous=False, prolific_completion="C1DONE", mturk=True)
    return app


def test_a_participant_of_a_named_platform_is_known_and_returns_there(study_folder: Path):
    """The ids are percent-encoded in the address of the way back (RFC 3986)."""
    app = serve(study_folder, PANEL)
    page = take_all(Visitor(app), ADA)
    assert 'href="https://panel.example/done/P7?who=ada%40example.org&amp;visit=v1"' in page
    listener = store_of(app).participation(Arrival("panel", "ada@example.org"))
    assert (listener.state, listener.visit) == ("finished", "v1")
    assert listener.arrival == {"pid": "ada@example.org", "visit": "v1", "project": "P7"}
    assert "You were here before" in Visitor(app).get(ADA.replace("v1", "v2")).text


def test_who_does_not_consent_or_is_turned_away_returns_there_too(study_folder: Path):
    app = serve(study_folder, PANEL)
    visitor = Visitor(app)
    assert 'href="/declined"' in visitor.get(ADA).text
    assert 'href="https://panel.example/no?who=ada%40example.org"' in visitor.get("/declined").text
    platform = load(study_folder).platform
    ada = Arrival("panel", "ada", "v1", {"pid": "ada"})
    assert way_back(ada, Crowd(), "turned away", platform=platform).address == "https://panel.example/out?who=ada"
    left = way_back(ada, Crowd(), "left", platform=platform)
    assert (left.address, "return the task" in left.label) == ("", True)


def test_a_damaged_address_or_one_of_another_study_is_refused(study_folder: Path):
    app = serve(study_folder, PANEL)
    for address in ("/?pid=&visit=v1&project=P7", "/?pid=ada&project=P7", "/?pid=ada&visit=v1&project=P8",
                "/?pid=%25SURVEY_CODE%25&visit=v1&project=P7", "/?pid=<b>&visit=v1&project=P7"):  # fmt: skip
        page = Visitor(app).get(address)
        assert page.status_code == 400
        assert "incomplete or damaged" in page.text


def test_an_assignment_of_connect_is_not_taken_for_mechanical_turk(study_folder: Path):
    assert f'href="{CONNECT_DONE}"' in take_all(Visitor(serve(study_folder, CONNECT_TABLE)), CONNECT)


def test_parameters_of_other_platforms_mean_nothing(study_folder: Path):
    app = serve(study_folder, CONNECT_TABLE)
    for address in (PROLIFIC, "/?" + HIT.partition("&")[2]):
        assert "takes no listeners by this address" in Visitor(app).get(address).text
    assert read_arrival({"assignmentId": "x"}, PRESETS["prolific"]) == Arrival()
    assert read_arrival({"PROLIFIC_PID": "x"}, PRESETS["mturk"]) == Arrival()


def test_the_admin_page_admits_the_platforms_whose_codes_it_holds(study_folder: Path):
    app = serve(study_folder, '[platform]\nname = "prolific"\n')
    assert "complete?cc=C1DONE" in take_all(Visitor(app), PROLIFIC)
    assert "takes no listeners by this address" in Visitor(app).get(HIT).text


def test_sona_gets_its_number_back(study_folder: Path):
    """The completion URL of "External Study Credit Granting", with the number in place of XXXX."""
    credit = "https://uni.sona-systems.com/webstudy_credit.aspx?experiment_id=123&credit_token=4e48&survey_code="
    app = serve(study_folder, f'[platform]\nname = "sona"\ncompleted = "{credit}{{participant}}"\n')
    assert f'href="{credit.replace("&", "&amp;")}1234"' in take_all(Visitor(app), "/?survey_code=1234")
    assert "survey_code=%SURVEY_CODE%" in _admin_page(app)


SONA = '[platform]\nname = "sona"\n'
CREDIT = "sona has neither completed, the address that participants return to, nor code"


def test_without_a_way_to_credit_participants_check_and_serve_warn(study_folder: Path):
    app = serve(study_folder, SONA)
    assert any(CREDIT in note for note in warnings(store_of(app), "127.0.0.1", None))
    checked = CliRunner().invoke(study_group, ["check", str(study_folder)])
    assert CREDIT in " ".join(checked.output.split())
    for way in ('completed = "https://sona.example/credit?code={participant}"', 'code = "S-1"'):
        app = serve(study_folder, f"{SONA}{way}\n")
        assert not any(CREDIT in note for note in warnings(store_of(app), "127.0.0.1", None))


def test_a_participant_of_a_platform_is_not_asked_for_a_second_listener(study_folder: Path):
    page = take_all(Visitor(serve(study_folder, SONA)), "/?survey_code=12345")
    assert "everything is stored" in page
    assert "Start a new session" not in page


@pytest.mark.parametrize("gate", ["paused", "closed"])
def test_who_can_come_back_is_not_sent_away_first(study_folder: Path, gate: str):
    app = serve(study_folder, PANEL)
    store_of(app).set_gate(gate)
    page = Visitor(app).get(ADA).text
    assert "Please return the task" in page
    assert ("If you cannot do that:" in page) == (gate == "paused")


def test_toloka_gets_a_code_to_copy(study_folder: Path):
    app = serve(study_folder, '[platform]\nname = "toloka"\nparticipant = "worker"\ncode = "T-42"\n')
    page = take_all(Visitor(app), "/?worker=b4d8bcc3")
    assert "Copy this code" in page
    assert ">T-42</code>" in page
    assert store_of(app).participation(Arrival("toloka", "b4d8bcc3", "b4d8bcc3")).state == "finished"


def _admin_page(app: Flask) -> str:
    from earmark.mushra_app.database import admin_access

    admin, store = app.test_client(), app.extensions["earmark"].store
    assert isinstance(store, Store)
    admin.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    return admin.get("/admin/").text


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"name": "Panel!"}, "must be one of prolific, mturk, connect, sona, toloka, or a name of your own"),
        ({"name": "anonymous", "participant": "p"}, "must be one of"),
        ({"name": "panel"}, "participant is missing"),
        ({"name": "toloka"}, "participant is missing"),
        ({"name": "panel", "participant": "p&q"}, "must be the name of a parameter"),
        ({"name": "panel", "participant": "p", "colour": "red"}, "no such key: colour"),
        ({"name": "connect"}, "connect needs completed, the Redirect URL that Connect shows"),
        ({"name": "panel", "participant": 3}, "participant must be a text"),
        ({"name": "panel", "participant": "p", "study_id": "7"}, "study_id needs study"),
        ({"name": "panel", "participant": "p", "completed": "javascript:alert(1)"}, "begins with https://"),
        ({"name": "panel", "participant": "p", "completed": "https://{participant}.example/"}, "begins with https://"),
        ({"name": "panel", "participant": "p", "completed": "https://[/{participant}"}, "completed: must be an"),
        ({"name": "panel", "participant": "p", "screened_out": "https://h:x/"}, "platform: screened_out: must be an"),
        ({"name": "panel", "participant": "p", "refused": "https://h/a b"}, "platform: refused: must be an"),
        ({"name": "panel", "participant": "p", "completed": "https://x.example/{session}"}, "no such placeholder"),
        ({"name": "panel", "participant": "p", "completed": "https://x.example/{"}, "a single brace"),
        ({"name": "prolific", "completed": "https://x.example/"}, "its codes are set on the admin page"),
        ({"name": "panel", "participant": "p", "signed": True}, "signed and signed_for are for"),
        ({"name": "prolific", "signed": "yes"}, "signed must be true or false"),
    ],
)  # fmt: skip
def test_wrong_settings_are_explained(table: dict, problem: str):
    with pytest.raises(ValueError, match="platform: ") as caught:
        read_platform({"platform": table})
    assert problem in str(caught.value)


def test_a_wrong_setting_names_the_file(study_folder: Path):
    (study_folder / "session.toml").write_text("platform = 3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"session\.toml: platform is written \[platform\]"):
        load(study_folder)
