"""Faults and refusals: logged once each with cause and count, and shown on the admin page."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.web import create_app, media
from earmark.mushra_app.web.faults import AUDIO, EXTENSION, Faults
from tests.mushra_app.visitor import Visitor


@pytest.fixture
def app(study_folder: Path) -> Flask:
    return create_app(study_folder)


def counts(app: Flask) -> dict[str, int]:
    return {fault.cause: fault.count for fault in app.extensions[EXTENSION].all()}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OperationalError("INSERT", {"id": "secret"}, Exception("database or disk is full")), "disk full"),
        (OperationalError("SELECT", {}, Exception("database is locked")), "database busy"),
        (OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly")), "database lost"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk full"),
    ],
)  # fmt: skip
def test_a_fault_is_logged_once_and_counted(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, cause: str
):
    """Three requests fail, one line is logged; the admin page has the count once the database is back."""

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Store, "status", fail)
        assert [app.test_client().get("/").status_code for _ in range(3)] == [503, 503, 503]
    lines = [record.getMessage() for record in caplog.records if cause in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith(f"{cause}: once since the server's start (")
    assert "secret" not in caplog.text
    assert counts(app) == {cause: 3}
    admin, store = app.test_client(), app.extensions["earmark"].store
    admin.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    page = admin.get("/admin/").text
    assert f'<th scope="row">{cause}</th><td class="number">3</td>' in page


def test_failed_audio_is_counted_and_tried_again(app: Flask, monkeypatch: pytest.MonkeyPatch):
    visitor = Visitor(app)
    visitor.begin()
    address = visitor.trial().audio[0]

    def fail(*_: object) -> bytes:
        raise OSError("read error")

    with monkeypatch.context() as broken:
        broken.setattr(media, "delivery", fail)
        assert visitor.get(address).status_code == 503
    assert visitor.get(address).status_code == 200
    assert counts(app) == {AUDIO: 1}


def test_refused_newcomers_are_counted_by_cause(app: Flask):
    store = app.extensions["earmark"].store
    Visitor(app).get("/?PROLIFIC_PID=<b>&STUDY_ID=s&SESSION_ID=v")
    store.set_gate("paused")
    Visitor(app).get("/")
    Visitor(app).get("/")
    store.crowd = Crowd(anonymous=False)
    Visitor(app).get("/")
    assert counts(app) == {
        "refused: address damaged or not signed": 1, "refused: not admitted this way": 1, "refused: study paused": 2,
    }  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_workers_share_the_counts():
    shared = Faults()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            for _ in range(100):
                shared.note(AUDIO)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert [fault.count for fault in shared.all()] == [200]
