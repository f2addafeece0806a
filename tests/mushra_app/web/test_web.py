"""The listening test over HTTP: sessions, refused requests, and blinding."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from flask import Flask
from itsdangerous.url_safe import URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from earmark.codec.errors import UserError
from earmark.mushra_app.database import store as stores
from earmark.mushra_app.database.tables import Listener
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.pages import Training, Trials, Volume
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import create_app
from tests.mushra_app.visitor import Visitor, attribute, field

COMPLAINT = re.compile('Traceback|File "|werkzeug|sqlalchemy', re.IGNORECASE)


@pytest.fixture
def study(study_folder: Path) -> Study:
    return studies.load(study_folder)


@pytest.fixture
def app(study_folder: Path) -> Flask:
    return create_app(study_folder)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def listener(visitor: Visitor) -> Visitor:
    visitor.begin()
    return visitor


@pytest.fixture(scope="module")
def refused_listener(make_study, tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    folder = tmp_path_factory.mktemp("refused")
    make_study(folder)
    visitor = Visitor(create_app(folder))
    visitor.begin()
    return visitor


@pytest.fixture
def refused(refused_listener: Visitor) -> Iterator[Visitor]:
    """A listener at the first trial. Checks that the test's requests changed nothing."""
    before = refused_listener.trial()
    yield refused_listener
    assert stored(refused_listener.client.application).empty
    assert refused_listener.trial() == before


def stored(app: Flask) -> pd.DataFrame:
    served = app.extensions["earmark"]
    return served.store.ratings()


# Sessions


def test_a_whole_session(visitor: Visitor, app: Flask):
    assert "12 trials" not in visitor.get("/").text
    assert "3 trials" in visitor.get("/").text
    assert visitor.begin().request.path == "/trial"
    for position in (1, 2, 3):
        page = visitor.trial()
        assert page.title == f"Trial {position} of 3"
        assert visitor.rate(page, 10 * position).json == {"next": "/continue"}
    assert visitor.get("/continue").request.path == "/thanks"
    table = stored(app)
    assert table.item.nunique() == 3
    assert sorted(table.score) == [10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33]
    assert (table.seconds == 12.5).all()


def test_scores_belong_to_the_condition_that_was_heard(listener: Visitor, app: Flask, study: Study, study_folder: Path):
    """Rate each stimulus by the index of its condition, which the name of the file with nearly its samples contains."""
    page = listener.trial()
    files = {path: soundfile.read(path, dtype="int16")[0].astype(int) for path in (study_folder / "audio").iterdir()}
    marks = []
    for token, url in zip(page.stimuli, page.audio[1:], strict=True):
        heard = samples_of(listener.get(url).data)
        (file,) = (path for path, samples in files.items() if np.abs(samples - heard).max() <= 1)
        marks.append({"stimulus": token, "score": int(file.stem[3:6])})
    listener.rate(page, ratings=marks)
    table = stored(app)
    indices = {condition.name: index for index, condition in enumerate(study.conditions)}
    assert dict(zip(table.condition, table.score, strict=True)) == indices


def samples_of(wav: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(wav), dtype="int16")[0].astype(int)


def test_the_open_reference_is_the_hidden_one_to_the_last_bit(listener: Visitor):
    """Each delivery is dithered by at most one step, so that two of them differ by at most two."""
    reference, *conditions = (samples_of(listener.get(url).data) for url in listener.trial().audio)
    assert sum(np.abs(one - reference).max() <= 2 for one in conditions) == 1


def test_no_two_responses_are_equal(listener: Visitor):
    """A script that hashes bytes or samples finds no hidden reference, not even in the same stimulus fetched twice."""
    responses = [listener.get(url).data for url in listener.trial().audio for _ in range(2)]
    assert len({hashlib.sha256(wav).hexdigest() for wav in responses}) == len(responses) == 10
    assert len({samples_of(wav).tobytes() for wav in responses}) == 10
    assert len({wav[: wav.index(b"data") + 8] for wav in responses}) == 1
    assert len({len(wav) for wav in responses}) == 1


def test_a_reload_shows_the_same_trial_in_the_same_order(listener: Visitor):
    assert listener.trial() == listener.trial()
    listener.rate(listener.trial())
    assert listener.trial().title == "Trial 2 of 3"
    assert listener.trial() == listener.trial()


def test_a_restarted_server_continues_the_session(listener: Visitor, study_folder: Path):
    listener.rate(listener.trial())
    before = listener.trial()
    listener.client.application = create_app(study_folder)
    assert listener.trial() == before


def test_the_first_page_continues_the_session(visitor: Visitor):
    token = field(visitor.get("/").text, "token")
    page = visitor.post("/start", data={"token": token, "consent": "yes"})
    assert [visitor.get(path).request.path for path in ("/", "/trial", "/thanks")] == ["/page/volume"] * 3
    visitor.go_on(page)
    assert visitor.get("/").request.path == "/trial"
    listener = visitor
    listener.rate(listener.trial())
    assert listener.get("/").request.path == "/trial"


def test_a_double_click_on_start_enrols_once(visitor: Visitor, app: Flask):
    token = field(visitor.get("/").text, "token")
    for _ in range(2):
        assert visitor.post("/start", data={"token": token, "consent": "yes"}).request.path == "/page/volume"
    with app.extensions["earmark"].store.reading() as session:
        assert len(session.scalars(select(Listener)).all()) == 1


def test_without_consent_nothing_begins(visitor: Visitor):
    token = field(visitor.get("/").text, "token")
    assert visitor.post("/start", data={"token": token}).request.path == "/"
    assert visitor.get("/trial").status_code == 403


def test_the_same_submission_again_is_accepted_once(listener: Visitor, app: Flask):
    page = listener.trial()
    assert [listener.rate(page).status_code for _ in range(3)] == [200, 200, 200]
    assert len(stored(app)) == 4


def test_a_second_tab_cannot_change_what_is_stored(listener: Visitor, app: Flask):
    page = listener.trial()
    assert listener.rate(page, 10).status_code == 200
    answer = listener.rate(page, 20)
    assert answer.status_code == 409
    assert "already stored" in answer.json["error"]
    assert sorted(stored(app).score) == [10, 11, 12, 13]


def test_newcomers_read_why_they_are_not_admitted_and_others_finish(make_study, tmp_path: Path):
    make_study(tmp_path, items=2, annotations=1, trials=2)
    app = create_app(tmp_path)
    ada, ready, newcomer = Visitor(app), Visitor(app), Visitor(app)
    token = field(ready.get("/").text, "token")
    ada.begin()
    taken = ready.post("/start", data={"token": token, "consent": "yes"})  # the last item was leased while she read
    for page in (taken, newcomer.get("/")):
        assert "All places are taken at the moment" in page.text
    assert [ada.rate(ada.trial()).status_code for _ in range(2)] == [200, 200]
    assert ada.get("/continue").request.path == "/thanks"
    page = newcomer.get("/")
    assert page.status_code == 200
    assert "no more listeners are needed" in page.text
    assert "Start" not in page.text


def test_the_next_listener_at_the_same_computer_gets_a_new_session(listener: Visitor):
    for _ in range(3):
        listener.rate(listener.trial())
    thanks = listener.get("/thanks").text
    assert "all 3 trials" in thanks
    assert listener.post("/leave", data={"token": field(thanks, "token")}).request.path == "/"
    assert listener.begin().request.path == "/trial"


def test_time_left_follows_the_listener_s_pace(listener: Visitor):
    """First estimate: 4 stimuli and the reference twice, 0.5 s each, x 3 trials = 15 s; then 2 trials of 300 s."""
    assert "about 1 min left" in listener.get("/trial").text
    listener.rate(listener.trial(), seconds=300)
    assert "about 10 min left" in listener.get("/trial").text


def test_only_a_study_with_comments_shows_the_field(make_study, tmp_path: Path):
    for comments in (False, True):
        make_study(tmp_path / str(comments), comments=comments)
        visitor = Visitor(create_app(tmp_path / str(comments)))
        visitor.begin()
        assert ('id="comment"' in visitor.get("/trial").text) == comments


def test_comments_are_kept(listener: Visitor, app: Flask):
    page = listener.trial()
    comments = ["<script>alert(1)</script>", "näselnd, 鼻音 👂", " broken \ud800 pair\0 ", ""]
    marks = [{"stimulus": s, "score": n, "comment": c}
             for n, (s, c) in enumerate(zip(page.stimuli, comments, strict=True))]  # fmt: skip
    assert listener.rate(page, ratings=marks).status_code == 200
    table = stored(app).sort_values("score")
    assert list(table.comment) == ["<script>alert(1)</script>", "näselnd, 鼻音 👂", "broken ? pair", ""]


# Blinding


def test_no_response_reveals_a_condition(visitor: Visitor, app: Flask, study: Study):
    """Names of conditions, items, categories, files, roles and the study are in no body, header, address or cookie."""
    visitor.begin()
    for _ in range(3):
        page = visitor.trial()
        for url in page.audio:
            visitor.get(url)
        visitor.rate(page, 10)
        visitor.rate(page, 20)
    for path in ("/thanks", "/continue", "/nowhere", "/audio/x.wav", "/page/volume"):
        visitor.get(path)
    for folder in Path(app.static_folder).iterdir():
        visitor.get(f"/static/{folder.name}")
    visitor.get("/static/player.js")
    secrets = [study.name, "hidden reference", "anchor", "f00d"]
    secrets += [condition.name for condition in study.conditions]
    for item in study.items:
        secrets += [item.id, item.category, item.file]
    cookies = URLSafeTimedSerializer(app.secret_key, salt="cookie-session", signer_kwargs={"key_derivation": "hmac"})
    assert len(visitor.responses) > 40
    for response in visitor.responses:
        text = f"{response.request.path} {response.headers} {response.data.decode('latin-1')}"
        for cookie in response.headers.getlist("Set-Cookie"):
            value = re.match(r"[^=]+=([^;]*)", cookie)[1]
            text += value and str(cookies.loads_unsafe(value)[1])
        for secret in secrets:
            assert secret.lower() not in text.lower(), (response.request.path, secret)


def test_stimuli_of_a_trial_have_equal_sizes_and_anonymous_headers(listener: Visitor):
    page = listener.trial()
    seen = [listener.get(url) for url in page.audio]
    assert {response.status_code for response in seen} == {200}
    assert len({response.headers["Content-Length"] for response in seen}) == 1
    for response in seen:
        assert response.headers["Cache-Control"] == "private, max-age=3600"
        assert response.headers["Content-Type"] == "audio/wav"
        assert not {"ETag", "Last-Modified"} & set(response.headers.keys())


def test_tokens_work_for_their_listener_only(app: Flask):
    ada, eve = Visitor(app), Visitor(app)
    ada.begin()
    eve.begin()
    urls = ada.trial().audio
    assert {eve.get(url).status_code for url in urls} == {404}
    assert {app.test_client().get(url).status_code for url in urls} == {404}
    assert not set(urls) & set(eve.trial().audio)


@pytest.mark.parametrize(
    "path",
    ["/audio/../study.json", "/audio/..%2fstudy.json", "/audio/%2e%2e/ratings.sqlite", "/audio/000000f00d.wav",
     "/audio/..%2faudio%2f000000f00d.wav", "/static/../__init__.py", "/static/..%2f__init__.py", "/audio/%00.wav"],
)  # fmt: skip
def test_no_address_reaches_other_files(refused: Visitor, path: str):
    assert refused.get(path).status_code == 404


# Refused requests


def test_every_response_has_the_security_headers(listener: Visitor):
    listener.rate(listener.trial())
    for path in ("/nowhere", "/static/trial.js", "/static/player.js", "/static/style.css"):
        listener.get(path)
    for response in listener.responses:
        policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "Cache-Control" in response.headers


def test_pages_obey_their_content_security_policy(listener: Visitor):
    """No inline script, style or handler, and no address outside the app."""
    pages = [listener.get(path).text for path in ("/page/volume", "/trial", "/nowhere")]
    pages.append(Visitor(listener.client.application).get("/").text)
    for html in pages:
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?:|//", html.replace("<!doctype", ""))


def test_pages_are_not_cached(listener: Visitor):
    assert listener.get("/trial").headers["Cache-Control"] == "no-store"
    assert listener.rate(listener.trial()).headers["Cache-Control"] == "no-store"


def test_the_cookie_is_for_this_site_and_hidden_from_scripts(visitor: Visitor):
    cookie = visitor.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize("token", ["", "x" * 22, None, 7, "é"])
def test_a_forged_token_is_refused(refused: Visitor, token: object):
    assert refused.rate(refused.trial(), token=token).status_code == 403


def test_forms_need_the_token_too(visitor: Visitor):
    assert visitor.post("/start", data={"consent": "yes"}).status_code == 403
    visitor.begin()
    assert visitor.post("/leave", data={"token": "guess"}).status_code == 403
    assert visitor.get("/trial").status_code == 200


def test_a_form_of_another_site_cannot_send_ratings(refused: Visitor):
    page = refused.trial()
    assert refused.post(f"/trial/{page.key}", data={"token": page.token}).status_code == 415
    assert refused.post(f"/trial/{page.key}", data="{}", content_type="text/plain").status_code == 415


def test_a_forged_cookie_is_refused(app: Flask, listener: Visitor):
    name = app.config["SESSION_COOKIE_NAME"]
    value = listener.client.get_cookie(name).value
    forger = Visitor(app)
    forger.client.set_cookie(name, value[:-3] + ("abc" if value[-3:] != "abc" else "xyz"))
    assert forger.get("/trial").status_code == 403


def test_a_trial_can_be_rated_by_its_listener_only(app: Flask):
    ada, eve = Visitor(app), Visitor(app)
    ada.begin()
    eve.begin()
    page = ada.trial()
    page.token = eve.trial().token
    assert eve.rate(page).status_code == 404
    assert stored(app).empty


@pytest.mark.parametrize(
    "changes",
    [
        {"ratings": []}, {"ratings": None}, {"ratings": {}}, {"ratings": ["x"]}, {"ratings": [{}]},
        {"seconds": None}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"seconds": "1"},
        {"seconds": 10**400},
    ],
)  # fmt: skip
def test_malformed_trials_are_refused(refused: Visitor, changes: dict[str, Any]):
    answer = refused.rate(refused.trial(), **changes)
    assert answer.status_code == 400
    assert answer.json["error"]


@pytest.mark.parametrize(
    "mark",
    [
        {"score": -1}, {"score": 101}, {"score": 50.5}, {"score": "50"}, {"score": None}, {"score": True},
        {"score": float("nan")}, {"score": 10**400}, {"stimulus": None}, {"stimulus": "guess"}, {"stimulus": []},
        {"comment": 5}, {"comment": "x" * 1001},
    ],
)  # fmt: skip
def test_malformed_ratings_are_refused(refused: Visitor, mark: dict[str, Any]):
    page = refused.trial()
    marks = [{"stimulus": token, "score": 50} for token in page.stimuli]
    marks[1] |= mark
    assert refused.rate(page, ratings=marks).status_code == 400


def test_a_condition_rated_twice_or_not_at_all_is_refused(refused: Visitor):
    page = refused.trial()
    one, *others = [{"stimulus": token, "score": 50} for token in page.stimuli]
    reference = {"stimulus": re.search(r"/audio/(.*)\.wav", page.audio[0])[1], "score": 100}
    for marks in (others, [one, one, *others], [*others, reference], [one, *others, reference]):
        assert refused.rate(page, ratings=marks).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 30_000, b'{"token": "\\ud800"}'])
def test_other_bodies_are_refused(refused: Visitor, body: bytes):
    page = refused.trial()
    answer = refused.post(f"/trial/{page.key}", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"]


def test_an_oversize_body_is_refused(refused: Visitor):
    answer = refused.rate(refused.trial(), padding="x" * 70_000)
    assert answer.status_code == 413
    assert answer.json["error"]


def test_the_longest_comments_of_twelve_conditions_fit():
    """12 conditions x 1000 characters, each at most 4 bytes in the UTF-8 that JSON.stringify and fetch send."""
    from earmark.mushra_app.web import MAX_REQUEST_BYTES
    from earmark.mushra_app.web.answers import MAX_COMMENT_LENGTH

    assert 12 * (4 * MAX_COMMENT_LENGTH + 100) < MAX_REQUEST_BYTES


# Errors


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/trial", 403), ("GET", "/page/volume", 403),
     ("GET", "/page/trial", 404), ("GET", "/thanks", 403),
     ("POST", "/trial", 405), ("GET", "/start", 405), ("DELETE", "/", 405)],
)  # fmt: skip
def test_errors_are_pages_with_a_way_back(visitor: Visitor, method: str, path: str, status: int):
    response = visitor.keep(visitor.client.open(path, method=method))
    assert response.status_code == status
    assert "This did not work" in response.text
    assert 'href="/"' in response.text
    assert not COMPLAINT.search(response.text)


def test_scripts_get_errors_as_json(visitor: Visitor):
    answer = visitor.client.get("/nowhere", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert set(answer.json) == {"error"}


def test_a_bug_shows_no_traceback(listener: Visitor, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise KeyError("opus@6")

    monkeypatch.setattr(stores.Store, "listener", broken)
    listener.client.application.config["PROPAGATE_EXCEPTIONS"] = False
    response = listener.get("/trial")
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.text
    assert not COMPLAINT.search(response.text)
    assert "opus" not in response.text


def test_a_busy_database_asks_to_try_again(listener: Visitor, monkeypatch: pytest.MonkeyPatch):
    page = listener.trial()

    def busy(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr(stores.Store, "submit", busy)
    answer = listener.rate(page)
    assert answer.status_code == 503
    assert "try again" in answer.json["error"]


def test_behind_a_proxy_with_a_prefix_all_addresses_have_it(app: Flask):
    html = app.test_client().get("/", environ_overrides={"SCRIPT_NAME": "/tests/one"}).text
    assert attribute(html, "action") == ["/tests/one/start"]
    assert all(url.startswith("/tests/one/") for url in attribute(html, "href"))


# Checks before serving


def test_a_folder_without_a_study_is_an_error_of_one_line(tmp_path: Path):
    with pytest.raises(UserError, match=r"no study\.json"):
        create_app(tmp_path)


def test_missing_audio_is_named(study_folder: Path):
    (study_folder / "audio" / "001002f00d.wav").unlink()
    with pytest.raises(UserError, match=r"001002f00d\.wav: missing, item musical-001 needs it"):
        create_app(study_folder)


def test_stimuli_of_different_sizes_are_refused(study_folder: Path):
    with (study_folder / "audio" / "001002f00d.wav").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="musical-001 differ in size"):
        create_app(study_folder)


def test_two_studies_on_one_host_have_different_cookies(make_study, tmp_path: Path):
    names = set()
    for name, items in (("one", 2), ("two", 4)):
        make_study(tmp_path / name, items=items)
        names.add(create_app(tmp_path / name).config["SESSION_COOKIE_NAME"])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("rate", "subtype", "kind"), [(44_100, "PCM_16", "WAV"), (48_000, "PCM_16", "WAVEX"), (48_000, "PCM_U8", "WAV")]
)
def test_stimuli_of_different_formats_are_refused(study_folder: Path, rate: int, subtype: str, kind: str):
    """The same number of bytes, but another rate, header or coding."""
    path = study_folder / "audio" / "001002f00d.wav"
    size = path.stat().st_size
    soundfile.write(path, np.zeros(size // 4), rate, subtype=subtype, format=kind)
    path.write_bytes((path.read_bytes() + bytes(size))[:size])
    with pytest.raises(UserError, match="musical-001 differ in format, length or header"):
        create_app(study_folder)


def test_compressed_stimuli_are_refused(study_folder: Path):
    """The size of FLAC files of equal length depends on the codec under test."""
    for path in (study_folder / "audio").iterdir():
        soundfile.write(path, np.zeros(100), 48_000, format="FLAC")
    with pytest.raises(UserError, match="stimuli are uncompressed WAV files"):
        create_app(study_folder)


# Sessions with more pages


def test_training_and_breaks_are_pages_of_the_session(study: Study, study_folder: Path):
    pages = (Training("musical-001"), Volume(), Trials(break_after=2))
    studies.save(replace(study, pages=pages), study_folder)
    visitor = Visitor(create_app(study_folder))
    visitor.post("/start", data={"token": field(visitor.get("/").text, "token"), "consent": "yes"})
    assert visitor.trial().title == "Practice trial"
    visitor.rate(visitor.trial())
    visitor.go_on(visitor.get("/continue"))
    titles = []
    while (page := visitor.get("/continue")).request.path != "/thanks":
        titles.append(re.search("<title>(.*)</title>", page.text)[1])
        if page.request.path == "/trial":
            visitor.rate(visitor.trial())
        else:
            assert "2 of 3 trials are done" in page.text
            visitor.go_on(page)
    assert titles == ["Trial 1 of 3", "Trial 2 of 3", "A break", "Trial 3 of 3"]
    assert len(stored(visitor.client.application)) == 3 * 4


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ([{"kind": "volume"}], "exactly one page of kind"),
        ([{"kind": "trials"}, {"kind": "trials"}], "exactly one page of kind"),
        ([{"kind": "training", "item": "none"}, {"kind": "trials"}], "training trial of item none"),
        ([{"kind": "nonsense"}], "damaged or made by hand"),
        ([{"kind": "trials", "break_before": 1}], "damaged or made by hand"),
    ],
)
def test_wrong_pages_are_an_error_of_one_line(study_folder: Path, pages: list[dict], message: str):
    path = study_folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pages": pages}))
    with pytest.raises(UserError, match=message):
        studies.load(study_folder)


def test_a_study_without_pages_has_the_default_ones(study_folder: Path):
    path = study_folder / "study.json"
    data = json.loads(path.read_text())
    del data["pages"]
    path.write_text(json.dumps(data))
    assert studies.load(study_folder).pages == (Volume(), Trials())


def test_a_late_listener_reads_that_nothing_is_left(make_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_study(tmp_path, items=1, annotations=1, trials=1)
    app = create_app(tmp_path)
    ada, bob = Visitor(app), Visitor(app)
    ada.post("/start", data={"token": field(ada.get("/").text, "token"), "consent": "yes"})
    now = time.time() + 2 * stores.LEASE_SECONDS
    monkeypatch.setattr(time, "time", lambda: now)
    bob.begin()
    ada.go_on(ada.get("/continue"))
    thanks = ada.get("/trial")
    assert thanks.request.path == "/thanks"
    assert "others took all places" in thanks.text


@pytest.mark.parametrize("name", ["../secret.wav", "link.wav", "/etc/hostname"])
def test_a_study_from_elsewhere_serves_only_its_own_audio(study_folder: Path, name: str):
    secret = study_folder / "secret.wav"
    secret.write_bytes((study_folder / "audio" / "000000f00d.wav").read_bytes())
    (study_folder / "audio" / "link.wav").symlink_to(secret)
    path = study_folder / "study.json"
    path.write_text(path.read_text().replace("000001f00d.wav", name))
    with pytest.raises(UserError, match=f"names “{name}”, which is not a path inside"):
        create_app(study_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": []}, "has no items"),
        ({"trials_per_listener": 0}, "whole numbers from 1"),
        ({"conditions": [{"name": "hidden-original", "role": "system"}]}, "no condition is the hidden reference"),
    ],
)
def test_a_study_without_what_sessions_need_is_an_error_of_one_line(study_folder: Path, change: dict, message: str):
    path = study_folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        studies.load(study_folder)
