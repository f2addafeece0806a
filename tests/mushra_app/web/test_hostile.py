"""Hostile visitors: forged headers, odd characters, slow connections, and logs without secrets."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from flask import Flask

from earmark.mushra_app.database.connection import readable_by_others
from earmark.mushra_app.web import Options, create_app
from earmark.mushra_app.web.serving import logged_path, warnings
from tests.mushra_app.visitor import Visitor, field

ROOT = Path(__file__).resolve().parents[3]


def store_of(app: Flask):
    return app.extensions["earmark"].store


# Places


def test_consent_without_cookies_takes_no_places(make_study, tmp_path: Path):
    """4 items x 2 ratings / 2 trials = 4 places. Twenty times GET / and POST /start, then a listener comes."""
    make_study(tmp_path, items=4, annotations=2, trials=2)
    app = create_app(tmp_path)
    for _ in range(20):
        visitor = Visitor(app)
        visitor.post("/start", data={"token": field(visitor.get("/").text, "token"), "consent": "yes"})
        visitor.get("/continue")
    assert Visitor(app).begin().request.path == "/trial"


def start_from(app: Flask, address: str) -> int:
    client = app.test_client()
    page = client.get("/", environ_base={"REMOTE_ADDR": address}).text
    form = {"token": field(page, "token"), "consent": "yes"}
    return client.post("/start", data=form, environ_base={"REMOTE_ADDR": address}).status_code


def test_an_address_has_so_many_open_sessions(make_study, tmp_path: Path):
    make_study(tmp_path, annotations=100)
    app = create_app(tmp_path, Options(per_address=3))
    assert [start_from(app, "203.0.113.1") for _ in range(5)] == [303, 303, 303, 429, 429]
    assert start_from(app, "203.0.113.2") == 303


def test_a_class_room_behind_one_address_takes_part(make_study, tmp_path: Path):
    make_study(tmp_path, annotations=100)
    app = create_app(tmp_path, Options(per_address=100))
    assert [start_from(app, "203.0.113.1") for _ in range(30)] == [303] * 30


# Requests


@pytest.mark.parametrize("where", ["token", "stimulus", "comment", "extra"])
def test_a_lone_surrogate_is_no_error_of_the_server(study_folder: Path, where: str):
    app = create_app(study_folder)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    visitor = Visitor(app)
    visitor.begin()
    page = visitor.trial()
    marks = [{"stimulus": token, "score": 50} for token in page.stimuli]
    body = {"token": page.token, "seconds": 1, "ratings": marks}
    if where in ("token", "extra"):
        body["token" if where == "token" else "\ud800"] = "\ud800"
    else:
        marks[0][where] = "\ud800"
    sent = visitor.post(f"/trial/{page.key}", data=json.dumps(body), content_type="application/json")
    assert sent.status_code == {"token": 403, "stimulus": 400, "comment": 200, "extra": 200}[where]


@pytest.mark.parametrize("peer", ["203.0.113.7", "127.0.0.1"])
def test_forwarded_headers_change_no_address(study_folder: Path, peer: str):
    """Scheme, host and path come from --url, whoever connects."""
    app = create_app(study_folder, Options(url="https://listen.example/test/"))
    headers = {
        "X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http",
        "Host": "evil.example",
    }  # fmt: skip
    answer = app.test_client().get("/", headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert 'action="/test/start"' in answer.text
    assert "evil" not in answer.text
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(("peer", "believed"), [("127.0.0.1", True), ("10.0.0.2", True), ("8.8.8.8", False)])
def test_only_a_near_proxy_names_the_visitor_s_address(make_study, tmp_path: Path, peer: str, believed: bool):
    """Otherwise a script would pretend another address for each session."""
    make_study(tmp_path, annotations=100)
    app = create_app(tmp_path, Options(url="https://listen.example/", per_address=1))

    def start(number: int) -> int:
        client, near = app.test_client(), {"REMOTE_ADDR": peer}
        headers = {"X-Forwarded-For": f"9.9.9.9, 203.0.113.{number}"}
        token = field(client.get("/", headers=headers, environ_base=near).text, "token")
        form = {"token": token, "consent": "yes"}
        return client.post("/start", data=form, headers=headers, environ_base=near).status_code

    assert [start(1), start(2)] == [303, 303 if believed else 429]
    assert start(1) == 429


# Secrets


def test_the_database_is_readable_by_its_owner_only(study_folder: Path):
    store = store_of(create_app(study_folder))
    store.enrol("ada")
    files = sorted(study_folder.glob("ratings.sqlite*"))
    assert {path.name for path in files} >= {"ratings.sqlite", "ratings.sqlite-wal"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert warnings(store, "127.0.0.1", None) == []


def test_an_open_database_is_reported_at_the_start(study_folder: Path):
    store = store_of(create_app(study_folder))
    (study_folder / "ratings.sqlite").chmod(0o644)
    assert readable_by_others(store.engine) == [study_folder / "ratings.sqlite"]
    assert f"chmod 600 {study_folder / 'ratings.sqlite'}" in warnings(store, "127.0.0.1", None)[0]


def test_a_missing_proxy_is_reported_at_the_start(study_folder: Path):
    store = store_of(create_app(study_folder))
    assert "no reverse proxy" in warnings(store, "0.0.0.0", None)[0]
    assert warnings(store, "0.0.0.0", "https://listen.example/") == []


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/?PROLIFIC_PID=60fd9a0c&invitation=secret", "/"), ("/audio/s3cret.wav", "/audio/..."),
        ("/trial/s3cret", "/trial/..."), ("/trial", "/trial"), ("/page/volume", "/page/volume"),
        ("/a\x1b[2J", "/a\\x1b[2J"), ("/tones/s3cret.wav?x=1", "/tones/..."),
    ],
)  # fmt: skip
def test_logged_paths_hold_no_secrets(path: str, logged: str):
    assert logged_path(path) == logged


def test_the_server_s_log_holds_no_query_and_no_address(study_folder: Path):
    process, address = serve(study_folder)
    urllib.request.urlopen(f"{address}?PROLIFIC_PID=60fd9a0c&STUDY_ID=a&SESSION_ID=b", timeout=20).close()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert '"GET /" 200' in errors
    assert "60fd9a0c" not in errors
    assert "127.0.0.1" not in errors  # the visitor's address, which is not stored elsewhere either


# Slow connections


def serve(folder: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-u", "-m", "earmark", "study", "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    match = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
    assert match is not None
    return process, match[0]


def test_connections_that_trickle_do_not_keep_visitors_waiting(study_folder: Path):
    """Forty connections send half a request, to two workers of eight threads each."""
    pytest.importorskip("gunicorn")
    pytest.importorskip("waitress")
    process, address = serve(study_folder, "--workers", "2")
    port = int(address.rsplit(":", 1)[1].rstrip("/"))
    try:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        for number, connection in enumerate(slow):
            head = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " if number % 2 else (
                b"POST /start HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\na"
            )  # fmt: skip
            connection.sendall(head)
        for _ in range(4):
            for connection in slow:
                connection.sendall(b"a")
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert answer.status == 200
            time.sleep(0.1)
        for connection in slow:
            connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_a_request_that_takes_too_long_is_closed(monkeypatch: pytest.MonkeyPatch):
    """A byte every now and then keeps a connection active; its request must still arrive within READ_SECONDS."""
    waitress = pytest.importorskip("waitress.server")
    from waitress import wasyncore

    from earmark.mushra_app.web import buffered_worker

    monkeypatch.setattr(buffered_worker, "READ_SECONDS", 0.2)
    channels: dict[int, object] = {}
    server = waitress.create_server(lambda environ, start: [], map=channels, listen="127.0.0.1:0", threads=1)
    server.channel_class = buffered_worker.TimedChannel
    try:
        with socket.create_connection(("127.0.0.1", server.effective_port)) as slow:
            slow.settimeout(0.05)
            closed, until = False, time.monotonic() + 20
            while not closed and time.monotonic() < until:
                try:
                    slow.sendall(b"a")
                    wasyncore.loop(timeout=0.05, map=channels, count=1)
                    closed = slow.recv(1) == b""
                except TimeoutError:
                    continue
                except OSError:
                    closed = True
            assert closed
    finally:
        server.task_dispatcher.shutdown()
        server.close()
