"""The admin page: its content, its forms, and access for the experimenter only."""

from __future__ import annotations

import html
import io
import re
import time
from pathlib import Path

import pandas as pd
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.collected import HEARD
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.web import Options, create_app
from earmark.mushra_app.web.downloads import as_csv
from earmark.mushra_app.web.listener_rows import all_listeners
from earmark.mushra_app.web.overview import overview
from tests.mushra_app.visitor import Visitor, field

SCORES = {"hidden-original": 100, "anchor@3.5k": 20, "opus@6": 50, "mp3@64": 70}


@pytest.fixture
def app(study_folder: Path) -> Flask:
    return create_app(study_folder, Options(rule="paper"))


@pytest.fixture
def store(app: Flask) -> Store:
    return app.extensions["earmark"].store


@pytest.fixture
def password(store: Store) -> str:
    return admin_access.new_password(store)


@pytest.fixture
def admin(app: Flask, password: str) -> FlaskClient:
    """A browser that is signed in."""
    client = app.test_client()
    assert client.post("/admin/sign-in", data={"password": password}).status_code == 303
    return client


def press(admin: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Submit a form of the page, with its token."""
    token = field(admin.get("/admin/").text, "token")
    return admin.post(path, data={"token": token, **fields}, follow_redirects=True)


def take_part(store: Store, key: str, reference: int = 100, trials: int = 3, comment: str = "") -> None:
    for trial in store.enrol(key).trials[:trials]:
        scores = SCORES | {"hidden-original": reference}
        answers = {stimulus.token: Answer(scores[stimulus.condition], comment) for stimulus in trial.conditions}
        store.submit(key, trial.key, answers, 60.0)
    if trials == 3:
        store.complete(key, store.listener(key).open_step.key, None)


# Content


def test_it_shows_progress_means_and_listeners(admin: FlaskClient, store: Store):
    """4 items x 2 ratings. Ada rates 3 items well, Bob 3 badly (excluded), Cid 1 so far: 4 of 8 count."""
    take_part(store, "ada")
    take_part(store, "bob", reference=50)
    take_part(store, "cid", trials=1)
    view = overview(store)
    assert (view.needed, view.valid, view.missing, view.excluded) == (8, 4, 4, 1)
    assert view.states == {"finished": 2, "at work": 1}
    assert {row.name: row.mean for row in view.conditions} == SCORES
    assert all((row.n, row.low, row.high) == (4, row.mean, row.mean) for row in view.conditions)  # no spread
    assert [row.name for row in view.conditions] == ["hidden-original", "mp3@64", "opus@6", "anchor@3.5k"]
    assert sum(item.valid for item in view.items) == 4
    assert all(item.means == SCORES for item in view.items if item.valid)
    page = admin.get("/admin/").text
    assert "do not count</strong>: hidden reference below 90 in 3 of 3 ratings (100.0 %)" in page
    assert "opus against mp3" in page


def test_it_shows_where_listeners_stop(store: Store):
    """Ada finishes; Bob stops after one trial. The volume page is the first step, trial 2 the third."""
    take_part(store, "ada")
    store.enrol("bob")
    store.complete("bob", store.listener("bob").open_step.key, None)
    first = store.enrol("bob").trials[0]
    store.submit("bob", first.key, {stimulus.token: Answer(50) for stimulus in first.conditions}, 20.0)
    store.leave("bob")
    steps = [(step.name, step.reached, step.stopped, step.seconds) for step in overview(store).steps]
    assert steps == [
        ("volume", 2, 0, None), ("trial 1", 2, 0, 40.0), ("trial 2", 2, 1, 60.0), ("trial 3", 1, 0, 60.0),
    ]  # fmt: skip


def test_a_step_has_the_same_name_at_any_position(study_folder: Path):
    """The instructed check follows the first or second trial; the repetition is the third or fourth."""
    (study_folder / "session.toml").write_text('attention = ["instructed", "repeated"]\nbreak_after = 1\n')
    store = create_app(study_folder).extensions["earmark"].store
    for key in ("ada", "bob"):
        store.enrol(key)
        while (step := store.listener(key).open_step) is not None:
            if step.trial_id is None:
                store.complete(key, step.key, {"band": 0, "score": 90, "passed": True})
            else:
                trial = store.trial(step.trial_id)
                store.submit(key, trial.key, {one.token: Answer(50) for one in trial.conditions}, 20.0)
    reached = {step.name: step.reached for step in overview(store).steps}
    trials = ["trial 1", "trial 2", "trial 3", "trial 4"]
    assert reached == dict.fromkeys(["volume", *trials, "attention", "break", "break 2", "break 3"], 2)
    assert [name for name in reached if name in trials] == trials


def test_a_listener_who_was_turned_away_stopped_at_that_page(study_folder: Path):
    """Steps that were reached: volume page and headphone check, and no trial."""
    (study_folder / "session.toml").write_text('headphone_check = "huggins"\n')
    store = create_app(study_folder).extensions["earmark"].store
    store.enrol("ada")
    store.complete("ada", store.listener("ada").open_step.key, None)
    answer = {"method": "huggins", "right": [2], "trials": 6, "pass_mark": 6, "passed": False}
    store.complete("ada", store.listener("ada").open_step.key, answer, turned_away="the headphone check was not passed")
    steps = [(step.name, step.reached, step.stopped) for step in overview(store).steps]
    assert steps == [("volume", 1, 0), ("headphones", 1, 1)]


def test_the_rule_ignores_listeners_excluded_by_hand_as_the_report_does(make_study, tmp_path: Path):
    """Among four ratings, Eve's 90 beside 50, 50, 50 is an outlier; without Cid's there are three, too few to judge."""
    make_study(tmp_path, items=1, trials=1, annotations=10)
    store = create_app(tmp_path, Options(rule="bs1534-iqr")).extensions["earmark"].store
    for key, score in (("ada", 50), ("bob", 50), ("cid", 50), ("eve", 90)):
        (trial,) = store.enrol(key).trials
        scores = SCORES | {"opus@6": score, "mp3@64": score}
        store.submit(key, trial.key, {one.token: Answer(scores[one.condition]) for one in trial.conditions}, 60.0)
        store.complete(key, store.listener(key).open_step.key, None)
        if key == "cid":
            store.exclude(3, "loudspeakers")
    rows = all_listeners(store)
    assert [row.listener.excluded for row in rows] == ["", "", "loudspeakers", ""]
    reported = screen(study_ratings(tmp_path), "bs1534-iqr").listeners
    assert [row.evidence for row in rows] == reported["evidence"].to_list()
    assert reported["kept"].to_list() == [True, True, False, True]


def test_an_empty_study_has_a_page_and_files(admin: FlaskClient):
    assert "Nobody has come yet" in admin.get("/admin/").text
    for name in ("ratings.csv", "ratings.parquet", "listeners.csv"):
        assert admin.get(f"/admin/{name}").status_code == 200


# Forms


def test_pausing_and_closing(admin: FlaskClient, app: Flask):
    for state, text in (("paused", "test pauses"), ("closed", "is closed")):
        assert f"The experimenter has {state} the study" in press(admin, "/admin/gate", state=state).text
        assert text in app.test_client().get("/").text
    press(admin, "/admin/gate", state="open")
    assert 'name="consent"' in app.test_client().get("/").text
    assert press(admin, "/admin/gate", state="nonsense").status_code == 400


def test_excluding_and_including(admin: FlaskClient, store: Store):
    take_part(store, "ada")
    store.screen_ended_sessions()
    press(admin, "/admin/listener/1", counts="no")
    assert store.listener("ada").excluded == "excluded by the experimenter"
    press(admin, "/admin/listener/1", counts="yes")
    assert store.listener("ada").excluded == ""
    assert press(admin, "/admin/listener/99999999999", counts="no").status_code == 400


def test_admission_settings(admin: FlaskClient, store: Store):
    page = press(admin, "/admin/crowd", mturk="on", prolific_completion=" C1 ", hourly="9.5").text
    crowd = store.crowd
    assert (crowd.anonymous, crowd.mturk, crowd.prolific_completion, crowd.hourly) == (False, True, "C1", 9.5)
    assert "PROLIFIC_PID={{%PROLIFIC_PID%}}" in page
    assert 'name="prolific_completion" value="C1"' in page


def test_costs_are_exact(admin: FlaskClient, store: Store):
    """4 items x 2 ratings / 3 / 0.9 = 2.96: 3 sessions. 4 minutes are 0.80: 2.40, a third 0.80."""
    page = admin.get("/admin/").text
    costs = re.search(r'<th scope="row">Prolific</th>(.*?)</tr>', page, re.DOTALL)
    assert re.findall(r"[\d.]+(?=<)", costs[1]) == ["3", "0.2", "0.80", "2.40", "0.80", "3.20"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hourly": "nan"}, "Pay per hour: “nan” is not a number from 0 to 1000."),
        ({"hourly": "-1"}, "Pay per hour: “-1” is not a number"),
        ({"hourly": "x"}, "Pay per hour: “x” is not a number"),
        ({"prolific_completion": "C 1"}, "Completion code: “C 1” is not a code of Prolific, which has only letters"),
        ({"prolific_study": "<b>"}, "Study id: “&lt;b&gt;” is not a code"),
    ],
)
def test_invalid_settings_are_shown_as_typed(admin: FlaskClient, store: Store, wrong: dict[str, str], message: str):
    before = store.crowd
    page = press(admin, "/admin/crowd", **{"mturk": "on", "hourly": "7", "prolific_no_consent": "C3", **wrong})
    assert page.status_code == 400
    assert message in page.text
    assert 'name="mturk" checked' in page.text
    assert 'name="prolific_no_consent" value="C3"' in page.text
    assert f'value="{html.escape(next(iter(wrong.values())))}"' in page.text
    assert store.crowd == before


def test_a_head_request_is_answered_like_a_get(admin: FlaskClient, app: Flask, store: Store):
    """RFC 9110, 9.3.2. It does not count as an attempt to sign in."""
    assert admin.head("/admin/").status_code == 200
    stranger = app.test_client()
    assert stranger.head("/admin/").headers["Location"] == "/admin/sign-in"
    for _ in range(50):
        assert stranger.head("/admin/sign-in").status_code == 200


def test_personal_links(admin: FlaskClient, app: Flask):
    page = press(admin, "/admin/invitations", people="007\n\n<b>Ada</b>\n").text
    assert "&lt;b&gt;Ada&lt;/b&gt;" in page
    links = re.findall(r"http://localhost(/\?invitation=[^<]+)<", page)
    assert len(set(links)) == 2
    assert Visitor(app).begin(links[0]).request.path == "/trial"
    assert "007" in admin.get("/admin/listeners.csv").text


def test_downloads_are_the_ratings(admin: FlaskClient, store: Store):
    take_part(store, "ada", comment="näselnd")
    names = {"study": str, "study_version": str}
    sheet = pd.read_csv(io.BytesIO(admin.get("/admin/ratings.csv").data), keep_default_na=False, dtype=names)
    table = pd.read_parquet(io.BytesIO(admin.get("/admin/ratings.parquet").data))
    floats = ["server_seconds", *HEARD]
    pd.testing.assert_frame_equal(sheet.drop(columns=floats), table.drop(columns=floats), check_dtype=False)
    assert set(sheet["study"]) == {store.setting("study_id")}
    assert len(table) == 12
    assert dict(zip(table.condition, table.score, strict=True)) == SCORES
    assert set(table.comment) == {"näselnd"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_formulas_are_neutralised_in_csv_and_kept_in_parquet(admin: FlaskClient, store: Store, start: str):
    evil = f'{start}HYPERLINK("http://evil.example")'
    take_part(store, "ada", comment=evil)
    sheet = pd.read_csv(io.BytesIO(admin.get("/admin/ratings.csv").data), keep_default_na=False)
    assert set(sheet.comment) == {f"'{evil}"}
    assert set(pd.read_parquet(io.BytesIO(admin.get("/admin/ratings.parquet").data)).comment) == {evil}


@pytest.mark.parametrize("end", [";", "\t", "\n", "\r\n"])
def test_formulas_after_a_possible_end_of_cell_are_neutralised(end: str):
    """If a spreadsheet expects semicolons, a,"b;=c" is two cells, and quotes do not protect line breaks."""
    sheet = as_csv(pd.DataFrame({"x": ["a"], "y": [f"b{end}=c"]})).decode()
    assert sheet.replace('"', "") == f"x,y\na,b{end}'=c\n"
    assert "'" not in as_csv(pd.DataFrame({"x": [f"as 3; -3 dB, a=b{end}c"]})).decode()


def test_cells_of_columns_that_hold_more_than_text_are_neutralised_too():
    table = pd.DataFrame({"x": ["=1", None, -2], "y": pd.Categorical(["+1", "a", "a"])})
    assert as_csv(table) == b"x,y\n'=1,'+1\n,a\n-2,a\n"


def test_hidden_characters_are_escaped():
    """U+202E shows "exe.gnp" as "png.exe"; ESC would act on a terminal. Line breaks, umlauts and emoji stay."""
    table = pd.DataFrame({"x": ["a\u202eb\u2066c\x1b[2Jd\x9b", "ä\n👂\u200d"]})
    assert as_csv(table).decode() == 'x\na\\u202eb\\u2066c\\x1b[2Jd\\x9b\n"ä\n👂\u200d"\n'


def test_negative_numbers_stay_numbers():
    assert as_csv(pd.DataFrame({"x": [-1.5], "y": ["-1.5"]})) == b"x,y\n-1.5,'-1.5\n"


def test_places_are_freed_from_the_page(make_study, tmp_path: Path):
    """One place. A script takes it and rates nothing; the page offers to free it."""
    make_study(tmp_path, items=1, annotations=1, trials=1)
    app = create_app(tmp_path)
    store = app.extensions["earmark"].store
    client = app.test_client()
    client.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    Visitor(app).begin()  # opens the trial
    assert store.status().state == "waiting"
    page = client.get("/admin/").text
    assert "1 listener holds places and has stored no trial yet." in page
    press(client, "/admin/places")
    assert store.status().state == "open"
    assert "holds places" not in client.get("/admin/").text
    for wrong in ("x", "-1", "9" * 30, "٣"):
        assert press(client, "/admin/places", listener=wrong).status_code == 400


def test_listeners_csv_holds_no_live_link(admin: FlaskClient, app: Flask):
    """A personal link in a shared table would let its reader continue the session."""
    link = re.findall(r"invitation=([^<]+)<", press(admin, "/admin/invitations", people="Ada").text)[0]
    Visitor(app).begin(f"/?invitation={link}")
    table = admin.get("/admin/listeners.csv").text
    assert "Ada" in table
    assert link not in table
    files = b"".join(path.read_bytes() for path in Path(app.extensions["earmark"].audio.parent).glob("ratings.sqlite*"))
    assert link.encode() not in files


# Access

PLACES = ["/admin/", "/admin/ratings.csv", "/admin/ratings.parquet", "/admin/listeners.csv", "/admin/answers.csv"]
FORMS = ["/admin/gate", "/admin/listener/1", "/admin/places", "/admin/crowd", "/admin/invitations", "/admin/sign-out"]


@pytest.mark.parametrize("path", PLACES)
def test_without_a_session_only_the_sign_in_page_is_shown(app: Flask, store: Store, password: str, path: str):
    take_part(store, "ada")
    page = app.test_client().get(path, follow_redirects=True)
    assert page.request.path == "/admin/sign-in"
    assert "opus" not in page.text


@pytest.mark.parametrize("path", FORMS)
def test_without_a_session_forms_are_refused(app: Flask, password: str, path: str):
    assert app.test_client().post(path, data={"state": "closed"}).status_code == 403


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", [None, "", "guess", "é"])
def test_forms_of_other_sites_are_refused(admin: FlaskClient, store: Store, path: str, token: str | None):
    fields = {"state": "closed", "counts": "no", "people": "Eve", "hourly": "1"}
    assert admin.post(path, data=fields if token is None else fields | {"token": token}).status_code == 403
    assert store.status().state == "open"
    assert admin.get("/admin/").status_code == 200


def test_a_listener_s_session_gives_no_access(app: Flask, password: str):
    visitor = Visitor(app)
    visitor.begin()
    assert visitor.get("/admin/").request.path == "/admin/sign-in"


def test_without_a_password_nobody_can_sign_in(app: Flask, store: Store):
    for guess in ("", "admin", "password"):
        assert app.test_client().post("/admin/sign-in", data={"password": guess}).status_code == 403


def test_an_address_has_five_attempts(app: Flask, store: Store, password: str, monkeypatch: pytest.MonkeyPatch):
    """After five wrong passwords from one address, the right one is refused there, but not elsewhere or later."""

    def attempt(password: str, address: str = "203.0.113.1") -> int:
        return app.test_client().post(
            "/admin/sign-in", data={"password": password}, environ_base={"REMOTE_ADDR": address}
        ).status_code  # fmt: skip

    assert [attempt(f"guess {k}") for k in range(5)] == [403] * 5
    assert attempt(password) == 429
    assert attempt(password, "203.0.113.2") == 303
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + admin_access.WINDOW_SECONDS + 1)
    assert attempt(password) == 303


def test_wrong_passwords_from_many_addresses_do_not_lock_the_experimenter_out(app: Flask, store: Store, password: str):
    """Five wrong passwords from each of 12 addresses."""
    for number in range(12):
        for _ in range(5):
            assert admin_access.sign_in(store, "guess", f"198.51.100.{number}") is None
    assert admin_access.sign_in(store, password, "198.51.100.200") is not None


def test_the_addresses_of_an_ipv6_subscriber_share_their_attempts(store: Store, password: str):
    for number in range(5):
        assert admin_access.sign_in(store, "guess", f"2001:db8:0:1::{number}") is None
    with pytest.raises(admin_access.TooManyTriesError):
        admin_access.sign_in(store, "guess", "2001:db8:0:1:ffff::1")


def test_a_neighbour_behind_the_same_address_does_not_lock_the_experimenter_out(
    app: Flask, admin: FlaskClient, password: str
):
    """In a class room, listeners and experimenter have one address. Her browser has signed in there before."""
    press(admin, "/admin/sign-out")
    neighbour = app.test_client()
    for _ in range(6):
        last = neighbour.post("/admin/sign-in", data={"password": "guess"})
    assert last.status_code == 429
    assert neighbour.post("/admin/sign-in", data={"password": password}).status_code == 429
    assert admin.post("/admin/sign-in", data={"password": password}).status_code == 303


def test_a_made_up_cookie_is_no_known_browser(app: Flask, password: str):
    name = f"{app.config['SESSION_COOKIE_NAME']}-admin-browser"
    stranger = app.test_client()
    for number in range(6):
        stranger.set_cookie(name, f"made up {number}", path="/admin/")
        last = stranger.post("/admin/sign-in", data={"password": "guess"})
    assert last.status_code == 429


def test_an_ended_session_cannot_be_replayed(app: Flask, admin: FlaskClient):
    name = f"{app.config['SESSION_COOKIE_NAME']}-admin"
    copied = admin.get_cookie(name, path="/admin/").value
    thief = app.test_client()
    thief.set_cookie(name, copied)
    assert thief.get("/admin/").status_code == 200
    press(admin, "/admin/sign-out")
    assert thief.get("/admin/").status_code == 302


def test_a_session_expires_and_ends_with_a_new_password(
    admin: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
):
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: now + admin_access.SESSION_SECONDS + 1)
        assert admin.get("/admin/").status_code == 302
    assert admin.get("/admin/").status_code == 200
    admin_access.new_password(store)
    assert admin.get("/admin/").status_code == 302


def test_a_forged_session_is_refused(app: Flask, password: str):
    client = app.test_client()
    for value in ("", "x" * 43, "../../etc/passwd", "' OR 1=1 --"):
        client.set_cookie(f"{app.config['SESSION_COOKIE_NAME']}-admin", value)
        assert client.get("/admin/").status_code == 302


@pytest.mark.usefixtures("full_cost")
def test_only_hashes_are_stored(store: Store, admin: FlaskClient, study_folder: Path, password: str):
    """A guess at the password costs 32768 blocks of 8 x 128 bytes, 32 MiB."""
    secret = admin.get_cookie(f"{admin.application.config['SESSION_COOKIE_NAME']}-admin", path="/admin/").value
    files = b"".join(path.read_bytes() for path in study_folder.glob("ratings.sqlite*"))
    assert password.encode() not in files
    assert secret.encode() not in files
    assert b"scrypt:32768:8:1$" in files


def test_cookie_and_headers(app: Flask, password: str):
    signed_in = app.test_client().post("/admin/sign-in", data={"password": password}, base_url="https://x.org")
    for cookie in signed_in.headers.getlist("Set-Cookie"):
        assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/admin/"))
    assert signed_in.headers["X-Frame-Options"] == "DENY"
    policy = signed_in.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "mturk" not in policy
    assert signed_in.headers["Cache-Control"] == "no-store"


def test_the_page_obeys_its_content_security_policy(admin: FlaskClient, store: Store):
    take_part(store, "ada", comment="<script>alert(1)</script>")
    html = admin.get("/admin/").text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)
    assert "<script>alert" not in html
