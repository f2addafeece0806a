"""Clocks that are wrong: a server's clock is set back, and two servers on one database are seconds apart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.store import LEASE_SECONDS, Store
from earmark.mushra_app.database.tables import Listener
from earmark.mushra_app.database.timing import implausible
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import Options, create_app
from tests.mushra_app.visitor import Visitor

DAY = 24 * 3600.0


class Clock:
    """The clock of the machine on which the next request is handled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def one_listener(store: Store) -> Listener:
    with store.reading() as session:
        return session.scalars(select(Listener)).one()


@pytest.mark.parametrize("step", [2.0, 90.0, DAY, 400 * DAY])
def test_a_clock_that_is_set_back_logs_nobody_out(study_folder: Path, clock: Clock, step: float):
    app = create_app(study_folder)
    visitor = Visitor(app)
    visitor.begin()
    page = visitor.trial()
    clock.now -= step
    assert visitor.get("/").request.path == "/trial"  # and not the page of consent
    assert visitor.trial() == page
    assert visitor.rate(page).status_code == 200
    second = visitor.trial()
    clock.now += 60
    assert visitor.rate(second).status_code == 200
    store: Store = app.extensions["earmark"].store
    assert len(store.ratings()) == 2 * 4
    with store.reading() as session:
        assert all("claims" not in text for text in implausible(session, store.study).values())


@pytest.mark.parametrize("ahead", [-400 * DAY, -60.0, 60.0, 400 * DAY])
def test_the_age_of_a_cookie_is_the_browser_s_to_judge(study_folder: Path, clock: Clock, ahead: float):
    """Max-Age does not depend on the server's clock, which Expires does."""
    clock.now += ahead
    (cookie,) = Visitor(create_app(study_folder)).get("/").headers.getlist("Set-Cookie")
    assert re.search(r"; Max-Age=2592000\b", cookie)


@pytest.mark.parametrize("step", [60.0, LEASE_SECONDS, DAY, 400 * DAY])
def test_a_clock_that_is_set_back_blocks_no_lease(
    make_study: Callable[..., Study], tmp_path: Path, clock: Clock, step: float
):
    """One item for one listener, who never comes back: the place is free after two leases, whatever the step."""
    make_study(tmp_path, items=1, annotations=1, trials=1)
    app = create_app(tmp_path)
    visitor = Visitor(app)
    visitor.begin()
    visitor.trial()
    store: Store = app.extensions["earmark"].store
    assert store.status().state == "waiting"
    clock.now -= step
    clock.now += 2 * LEASE_SECONDS + 10
    assert store.status().state == "open"


def test_a_listener_who_comes_back_gets_a_lease_of_the_usual_length(study_folder: Path, clock: Clock):
    app = create_app(study_folder)
    visitor = Visitor(app)
    visitor.begin()
    visitor.trial()
    clock.now -= 30 * 60
    visitor.get("/trial")
    assert one_listener(app.extensions["earmark"].store).lease_until == clock.now + LEASE_SECONDS


def test_a_listener_who_rates_after_the_step_is_judged_again(study_folder: Path, clock: Clock):
    app = create_app(study_folder)
    visitor = Visitor(app)
    visitor.begin()
    page, store = visitor.trial(), app.extensions["earmark"].store
    clock.now += LEASE_SECONDS + 10
    store.screen_ended_sessions()
    assert one_listener(store).judged == clock.now
    clock.now -= 2 * LEASE_SECONDS
    visitor.rate(page)
    visitor.post("/stop", data={"token": page.token})
    assert one_listener(store).judged == clock.now


def test_failed_sign_ins_from_the_future_do_not_lock_the_experimenter_out(study_folder: Path, clock: Clock):
    store = create_app(study_folder).extensions["earmark"].store
    password = admin_access.new_password(store)
    for _ in range(admin_access.MAX_FAILURES_PER_ADDRESS):
        assert admin_access.sign_in(store, "wrong", "192.0.2.1") is None
    with pytest.raises(admin_access.TooManyTriesError):
        admin_access.sign_in(store, password, "192.0.2.1")
    clock.now -= DAY
    secret = admin_access.sign_in(store, password, "192.0.2.1")
    assert secret
    clock.now -= DAY
    assert admin_access.form_token(store, secret)


@pytest.mark.parametrize("apart", [2.0, DAY])
def test_two_servers_apart_on_one_database(
    make_study: Callable[..., Study], tmp_path: Path, clock: Clock, postgresql: str, apart: float
):
    """Each request of a listener goes to the other server than the one before. All times are the database's."""
    make_study(tmp_path, items=2, annotations=1, trials=2)
    true = clock.now
    servers = [Visitor(create_app(tmp_path, Options(database=postgresql))) for _ in range(2)]
    store: Store = servers[0].client.application.extensions["earmark"].store

    def other() -> Visitor:
        """The other server, with the listener's cookies."""
        servers.reverse()
        servers[0].client._cookies = servers[1].client._cookies
        clock.now = true if clock.now != true else true - apart
        return servers[0]

    consent = re.search('name="token" value="([^"]*)"', other().get("/").text)[1]
    started = other().client.post("/start", data={"token": consent, "consent": "yes"})
    assert started.status_code == 303
    assert other().get("/").request.path == "/page/volume"
    assert other().go_on(other().get("/")).status_code == 200
    for _ in range(2):
        page = other().trial()
        assert store.status().state in ("waiting", "complete")
        assert other().rate(page, seconds=0.0).status_code == 200
    listener = one_listener(store)
    with store.reading() as session:
        database = session.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    assert abs(listener.seen - float(database)) < 60
    assert store.ratings()["server_seconds"].between(0, 60).all()
