"""The server's own times: sessions that contradict them are flagged, and refused if the experimenter wants it."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.mushra_app.analysis.flags import flag
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.web import Options, create_app
from earmark.mushra_app.web.listener_rows import all_listeners
from tests.mushra_app.database.sessions import Clock
from tests.mushra_app.visitor import Visitor

PROLIFIC = "/?PROLIFIC_PID=60fd9a0c&STUDY_ID=610aa6c4&SESSION_ID=62b1b7ce"


@pytest.fixture
def folder(make_study, tmp_path: Path) -> Path:
    """Sounds of 2 s: a trial of a reference and four conditions has 10 s of audio."""
    make_study(tmp_path, trials=2, annotations=10, seconds=2.0)
    return tmp_path


def take_part(folder: Path, *, fetch: bool, seconds: float, claimed: float, monkeypatch, **options: object) -> Visitor:
    """Rate two trials, `seconds` after each page was sent; returns the visitor."""
    app = create_app(folder, Options(**options))
    app.extensions["earmark"].store.crowd = Crowd(prolific_completion="C1DONE")
    visitor = Visitor(app)
    clock = Clock(monkeypatch)
    visitor.begin(PROLIFIC)
    for _ in range(2):
        page = visitor.trial()
        if fetch:
            for url in page.audio:
                visitor.get(url)
        clock.now += seconds
        visitor.rate(page, score=95, seconds=claimed)
    return visitor


def flags_of(visitor: Visitor) -> str:
    (row,) = all_listeners(visitor.client.application.extensions["earmark"].store)
    return row.flags


def test_an_honest_session_is_not_flagged(folder: Path, monkeypatch):
    visitor = take_part(folder, fetch=True, seconds=30, claimed=28, monkeypatch=monkeypatch)
    assert flags_of(visitor) == ""
    assert study_ratings(folder).frame["server_seconds"].round().eq(30).all()
    assert flag(study_ratings(folder)).eq("").all()


def test_a_script_that_answers_at_once_is_flagged_and_its_claim_kept(folder: Path, monkeypatch):
    """One second per trial, claiming 42: two trials took 2 s, their sounds last 2 x 5 x 2 = 20 s."""
    visitor = take_part(folder, fetch=True, seconds=1, claimed=42, monkeypatch=monkeypatch)
    text = "2 trials took 2.0 s, the sounds last 20.0 s, claims 84 s on 2 trials, more than passed"
    assert flags_of(visitor) == text
    ratings = study_ratings(folder)
    assert ratings.frame["seconds"].eq(42).all()
    assert ratings.frame["server_seconds"].round().eq(1).all()
    assert flag(ratings).to_list() == [text]


def test_audio_that_was_never_fetched_is_flagged(folder: Path, monkeypatch):
    """Two trials of a reference and four conditions."""
    visitor = take_part(folder, fetch=False, seconds=30, claimed=30, monkeypatch=monkeypatch)
    assert flags_of(visitor) == "rated without fetching 10 sounds"


def test_flagged_sessions_count_unless_the_experimenter_refuses_them(folder: Path, monkeypatch):
    visitor = take_part(folder, fetch=False, seconds=1, claimed=1, monkeypatch=monkeypatch)
    assert "cc=C1DONE" in visitor.get("/thanks").text
    assert set(study_ratings(folder).excluded) == set()
    store = create_app(folder, Options(refuse_implausible=True)).extensions["earmark"].store
    store.screen_ended_sessions()
    assert set(study_ratings(folder).excluded) == set(store.ratings()["listener"])
    assert store.ratings()["excluded_by"].eq("timing").all()
    store = create_app(folder, Options()).extensions["earmark"].store
    store.screen_ended_sessions()
    assert store.ratings()["excluded_by"].eq("").all()


def test_a_refused_session_gets_no_code(folder: Path, monkeypatch):
    visitor = take_part(folder, fetch=False, seconds=1, claimed=1, monkeypatch=monkeypatch, refuse_implausible=True)
    page = visitor.get("/thanks").text
    assert "faster than the sounds can be heard" in page
    assert "C1DONE" not in page
    assert "Please return your submission on Prolific" in page


def test_asking_for_headers_or_after_rating_is_no_fetching(folder: Path, monkeypatch):
    """HEAD sends no audio, and audio that is fetched after the ratings was not heard before them."""
    app = create_app(folder)
    visitor = Visitor(app)
    clock = Clock(monkeypatch)
    visitor.begin()
    for _ in range(2):
        page = visitor.trial()
        for url in page.audio:
            assert visitor.client.head(url).status_code == 200
        clock.now += 30
        visitor.rate(page, score=95, seconds=30)
        for url in page.audio:
            assert visitor.get(url).status_code == 200
    assert flags_of(visitor) == "rated without fetching 10 sounds"
