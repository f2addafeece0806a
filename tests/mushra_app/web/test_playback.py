"""Sounds that a browser cannot load or decode: reported once per sound and reason, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import create_app
from earmark.mushra_app.web.faults import EXTENSION, MARKS, PLAYBACK, Faults
from tests.mushra_app.visitor import Page, Visitor

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0"


@pytest.fixture
def app(study_folder: Path) -> Flask:
    return create_app(study_folder)


def first_trial(app: Flask) -> tuple[Visitor, Page]:
    visitor = Visitor(app)
    visitor.begin()
    return visitor, visitor.trial()


def report(
    visitor: Visitor, page: Page, url: str, reason: object = "decode", error: object = "EncodingError: x"
) -> int:
    body = {"token": page.token, "reason": reason, "error": error}
    return visitor.post(url, json=body, headers={"User-Agent": FIREFOX}).status_code


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if PLAYBACK in record.getMessage()]


def conditions(app: Flask, page: Page) -> list[str]:
    """Item and condition of the trial's sliders."""
    served = app.extensions["earmark"]
    with served.store.reading() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT stimulus.token, trial.item, stimulus.condition FROM stimulus JOIN trial ON trial.id = trial_id"
        )
        found = {token: f"{item}, {condition}" for token, item, condition in rows}
    return [found[token] for token in page.stimuli]


def test_a_report_counts_once_per_sound_and_reason(
    make_study: Callable[..., Study], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    make_study(tmp_path, items=3, trials=3)  # every listener rates every item
    app = create_app(tmp_path)
    visitor, page = first_trial(app)
    first, second = page.audio[1:3]  # after the open reference
    assert [report(visitor, page, first) for _ in range(3)] == [204] * 3
    assert report(visitor, page, second) == 204
    assert report(visitor, page, first, "load", "TypeError: Failed to fetch") == 204
    one, two, *_ = conditions(app, page)
    assert lines(caplog) == [
        f"audio failed in a browser: {times} since the server's start ({sound} by Firefox 121 ({error}))"
        for times, sound, error in (
            ("once", f"{one}: not decoded", "EncodingError: x"),
            ("2 times", f"{two}: not decoded", "EncodingError: x"),
            ("3 times", f"{one}: not loaded", "TypeError: Failed to fetch"),
        )
    ]
    # Another listener with the same sound: counted, and not logged again.
    other, theirs = first_trial(app)
    while one not in conditions(app, theirs):
        other.rate(theirs)
        theirs = other.trial()
    assert report(other, theirs, theirs.audio[1 + conditions(app, theirs).index(one)]) == 204
    assert len(lines(caplog)) == 3
    assert [(fault.cause, fault.count) for fault in app.extensions[EXTENSION].all()] == [(PLAYBACK, 4)]


def test_hostile_text_is_shown_as_text(app: Flask, caplog: pytest.LogCaptureFixture):
    visitor, page = first_trial(app)
    assert report(visitor, page, page.audio[0], error="<script>alert(1)</script>\x1b[2J\n" + 200 * "x") == 204
    (line,) = lines(caplog)
    assert "<script>alert(1)</script>\\x1b[2J\\x0a" in line
    assert "x" * 101 not in line
    admin, store = app.test_client(), app.extensions["earmark"].store
    admin.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    shown = admin.get("/admin/").text
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"token": "other"}, 403), ({"token": None}, 403), ({"reason": "boredom"}, 400), ({"reason": ["load"]}, 400),
        ({"error": 5}, 400), ({"error": "x" * 1000}, 413),
    ],
)  # fmt: skip
def test_what_no_page_of_ours_sends_is_refused(app: Flask, changes: dict[str, object], status: int):
    visitor, page = first_trial(app)
    body = {"token": page.token, "reason": "load", "error": "x", **changes}
    assert visitor.post(page.audio[0], json=body).status_code == status
    assert app.extensions[EXTENSION].all() == []


def test_only_the_listener_of_a_sound_can_report_it(app: Flask):
    visitor, page = first_trial(app)
    other, theirs = first_trial(app)
    assert report(other, theirs, page.audio[0]) == 404
    assert report(Visitor(app), page, page.audio[0]) == 403
    assert report(visitor, page, "/headphones/key/0/0.wav") == 404  # no such step is open
    assert report(visitor, page, "/tones/key.wav") == 404
    form = json.dumps({"token": page.token, "reason": "load", "error": "x"})
    assert visitor.post(page.audio[0], data=form, content_type="text/plain").status_code == 415  # as another site can
    assert app.extensions[EXTENSION].all() == []


def test_reports_about_the_headphone_check(study_folder: Path, caplog: pytest.LogCaptureFixture):
    (study_folder / "session.toml").write_text('headphone_check = "huggins"\n')
    app = create_app(study_folder)
    visitor = Visitor(app)
    html = visitor.begin().text
    url = html.partition('data-audio="')[2].partition('"')[0]
    token = html.partition('name="token" value="')[2].partition('"')[0]
    body = {"token": token, "reason": "decode", "error": "EncodingError"}
    assert visitor.post(url, json=body).status_code == 204
    assert "(headphone check: not decoded by another browser (EncodingError))" in lines(caplog)[0]


def test_marks_are_bounded():
    """A flood of names is forgotten neither, nor does it take more memory."""
    shared = Faults()
    new = sum(shared.is_new(str(number)) for number in range(MARKS + MARKS // 2))
    assert 0.9 * MARKS < new <= MARKS
    assert not shared.is_new("0")
