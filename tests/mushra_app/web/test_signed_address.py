"""Prolific's signed addresses, with keys of our own that a stand-in server publishes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask

from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.web import create_app, signed_address
from tests.mushra_app.study.test_crowd import store_of, take_all
from tests.mushra_app.visitor import Visitor

IDS = {"PROLIFIC_PID": "60fd9a0c", "STUDY_ID": "610aa6c4", "SESSION_ID": "62b1b7ce"}
PLAIN = "&".join(f"{name}={value}" for name, value in IDS.items())
OURS, THEIRS = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class Platform:
    """A server that publishes keys as Prolific does, and counts requests."""

    def __init__(self) -> None:
        self.published: dict[str, Any] = {"prolific-1": OURS.public_key()}
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                algorithm = jwt.algorithms.RSAAlgorithm
                keys = [
                    {**algorithm.to_jwk(key, as_dict=True), "kid": kid, "alg": "RS256", "use": "sig"}
                    for kid, key in outer.published.items()
                ]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": keys}).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/.well-known/study/jwks.json"


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def app(study_folder: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(signed_address.Keys.__init__, "__defaults__", (platform.address,))
    (study_folder / "session.toml").write_text('[platform]\nname = "prolific"\nsigned = true\n', encoding="utf-8")
    app = create_app(study_folder)
    store_of(app).crowd = Crowd(anonymous=False, prolific_completion="C1DONE")
    return app


def token(key: Any = OURS, kid: str = "prolific-1", **changes: Any) -> str:
    claims = {"exp": time.time() + 600, "aud": "https://localhost/?x", "prolific": {**IDS, "workspace_id": "w"}}
    return jwt.encode({**claims, **changes}, key, algorithm="RS256", headers={"kid": kid})


def test_a_signed_participant_takes_part(app: Flask):
    assert "complete?cc=C1DONE" in take_all(Visitor(app), f"/?{PLAIN}&prolific_token={token()}")


def test_the_ids_can_be_in_the_signature_only(app: Flask):
    assert 'name="consent"' in Visitor(app).get(f"/?prolific_token={token(aud='localhost')}").text


def test_an_audience_that_is_no_address_is_refused(app: Flask):
    answer = app.test_client().get(f"/?{PLAIN}&prolific_token={token(aud='https://[/')}")
    assert answer.status_code == 400


def test_made_up_ids_are_refused(app: Flask):
    for query in (
        PLAIN,
        f"{PLAIN}&prolific_token=",
        f"{PLAIN}&prolific_token=not-a-token",
        f"{PLAIN}&prolific_token={token(THEIRS)}",
        f"{PLAIN}&prolific_token={token(kid='unknown')}",
        f"{PLAIN}&prolific_token={token()[:-8]}AAAAAAAA",
        f"{PLAIN}&prolific_token={token(aud='https://elsewhere.example/')}",
        f"{PLAIN}&prolific_token={token(aud=7)}",
        f"{PLAIN}&prolific_token={token(exp=1_000_000_000)}",
        f"{PLAIN}&prolific_token={token(prolific=None)}",
        f"{PLAIN}&prolific_token={token(prolific={'PROLIFIC_PID': '60fd9a0c'})}",
        f"{PLAIN.replace('60fd9a0c', 'made-up')}&prolific_token={token()}",
        f"{PLAIN}&prolific_token={jwt.encode({'exp': 9e9, 'aud': 'localhost', 'prolific': IDS}, '', algorithm='none')}",
    ):
        page = Visitor(app).get(f"/?{query}")
        assert page.status_code == 400, query
        assert 'name="consent"' not in page.text


def test_a_listener_can_reload_an_address_that_has_expired(app: Flask, monkeypatch: pytest.MonkeyPatch):
    visitor, address = Visitor(app), f"/?{PLAIN}&prolific_token={token()}"
    visitor.begin(address)
    now = time.time() + 3600
    monkeypatch.setattr(signed_address.time, "time", lambda: now)
    assert visitor.get(address).request.path == "/trial"
    assert Visitor(app).get(address).status_code == 400


def test_keys_are_fetched_once_and_a_new_key_is_found(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    """Made-up key ids cause one request a minute; keys that are known stay in use when the platform is away."""
    keys = signed_address.Keys(platform.address)
    assert keys.key("prolific-1") is not None
    assert [keys.key(f"made-up-{n}") for n in range(20)] == [None] * 20
    assert platform.requests == 1
    platform.published["prolific-2"] = THEIRS.public_key()
    now = time.monotonic() + signed_address.RETRY_SECONDS + 1
    monkeypatch.setattr(signed_address, "time", SimpleNamespace(monotonic=lambda: now))
    assert keys.key("prolific-2") is not None
    assert platform.requests == 2
    platform.published = {}
    later = now + signed_address.KEYS_SECONDS + 1
    monkeypatch.setattr(signed_address, "time", SimpleNamespace(monotonic=lambda: later))
    assert keys.key("prolific-1") is not None


def test_without_keys_nobody_is_let_in_and_it_is_tried_again(app: Flask, platform: Platform):
    published, platform.published = platform.published, {}
    address = f"/?{PLAIN}&prolific_token={token()}"
    assert Visitor(app).get(address).status_code == 503
    platform.published = published
    assert 'name="consent"' in Visitor(app).get(address).text
