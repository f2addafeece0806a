"""A study under a path of a public address, in other sites' frames, and as deploy/compose.yaml starts it."""

from __future__ import annotations

import re
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from earmark.codec.errors import UserError
from earmark.mushra_app.addresses import frame_sites
from earmark.mushra_app.cli import study_group
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.web import Options, create_app
from earmark.mushra_app.web.reach import mismatch
from tests.mushra_app.visitor import attribute, field

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PUBLIC = "https://host.example/listen/"


@pytest.mark.parametrize("kept", ["", "/listen"])
def test_everything_stays_below_the_path_of_the_public_address(study_folder: Path, kept: str):
    """Whether the proxy keeps the path or strips it, and without X-Forwarded-Prefix."""
    client = create_app(study_folder, Options(url=PUBLIC)).test_client(use_cookies=False)
    page = client.get(f"{kept}/")
    addresses = [*attribute(page.text, "href"), *attribute(page.text, "src"), *attribute(page.text, "action")]
    assert len(addresses) > 5
    for address in addresses:
        assert address.startswith("/listen/"), address
        if "/static/" in address:
            assert client.get(kept + address.removeprefix("/listen")).status_code == 200, address
    assert "Path=/listen/;" in f"{page.headers['Set-Cookie']};"
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    form = {"token": field(page.text, "token"), "consent": "yes"}
    answer = client.post(f"{kept}/start", data=form, headers={"Cookie": cookie})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/listen/continue")
    assert client.get(f"{kept}/admin/").headers["Location"] == "/listen/admin/sign-in"


def test_only_named_sites_can_show_the_test_in_a_frame(study_folder: Path):
    """In another site's frame browsers send only Secure, SameSite=None cookies. The admin page is never framed."""
    options = Options(url="https://host.example/", embed_in=("https://survey.example", "https://*.panel.example"))
    client = create_app(study_folder, options).test_client()
    page = client.get("/")
    policy = f"{page.headers['Content-Security-Policy']};"
    assert "frame-ancestors 'self' https://*.mturk.com https://survey.example https://*.panel.example;" in policy
    assert all(word in page.headers["Set-Cookie"] for word in ("Secure", "SameSite=None", "Partitioned"))
    assert "frame-ancestors 'none'" in client.get("/admin/sign-in").headers["Content-Security-Policy"]


def test_sites_are_checked():
    assert frame_sites(("https://a.example/", "https://*.b.example:8443"), PUBLIC) == (
        "https://a.example", "https://*.b.example:8443"
    )  # fmt: skip
    for wrong in ("http://a.example", "https://a.example/page", "*", "https://a.example; script-src *", "'none'"):
        with pytest.raises(UserError, match="must be a site without a path"):
            frame_sites((wrong,), PUBLIC)
    with pytest.raises(UserError, match="https pages only"):
        frame_sites(("https://a.example",), "http://host.example/")


def test_health_names_the_study_and_reports_a_lost_database(study_folder: Path, monkeypatch: pytest.MonkeyPatch):
    app = create_app(study_folder)
    client = app.test_client()
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (200, "ok")
    assert answer.json["study"] in app.config["SESSION_COOKIE_NAME"]

    def lost(*_: object) -> str:
        raise OperationalError("SELECT", {}, OSError("connection refused"))

    monkeypatch.setattr(Store, "setting", lost)
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "no database")


def test_a_public_address_that_leads_elsewhere_is_reported():
    answers = {"/one/health": b'{"study": "abc"}', "/two/health": b'{"study": "other"}', "/three/health": b"<html>"}

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, b""))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        assert mismatch(f"{host}/one/", "abc") is None
        assert "something else than this study" in mismatch(f"{host}/two/", "abc")
        assert "something else than this study" in mismatch(f"{host}/three/", "abc")
        assert "answers 404" in mismatch(f"{host}/", "abc")
        server.shutdown()
    assert "no answer there" in mismatch(f"{host}/one/", "abc")


def test_the_command_of_the_compose_file_serves_below_a_path(study_folder: Path):
    """The process of the service `app`, with SQLite in place of PostgreSQL, behind a proxy that keeps the path."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"app", "database", "proxy"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    changes = {
        "/study": str(study_folder), "--port=8000": f"--port={port}", "--host=0.0.0.0": "--host=127.0.0.1",
    }  # fmt: skip
    command = [changes.get(part, part) for part in services["app"]["command"] if not part.startswith("--database=")]
    command = [f"--url=http://127.0.0.1:{port}/listen/" if part.startswith("--url=") else part for part in command]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "earmark", *command, "--force"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}/listen/" in process.stdout.readline()
        address = f"http://127.0.0.1:{port}/listen/"
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"{address}health", timeout=5) as answer:
                    break
            except OSError:
                time.sleep(0.1)
        assert answer.status == 200
        with urllib.request.urlopen(address, timeout=5) as page:
            assert 'action="/listen/start"' in page.read().decode()
        checked = CliRunner().invoke(study_group, ["check", str(study_folder), "--url", address])
        assert f"--url {address}: leads to this study" in checked.output
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_recipe_has_all_settings_and_no_torch():
    recipe, example = ((DEPLOY / name).read_text(encoding="utf-8") for name in ("compose.yaml", ".env.example"))
    wanted = set(re.findall(r"\$\{(\w+)", recipe))
    assert wanted == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert "[server]" in image
    assert "encodec" not in image
    assert (DEPLOY / "Caddyfile").read_text(encoding="utf-8").count("reverse_proxy app:8000") == 1


def test_a_backup_of_a_running_study_is_a_whole_private_database(study_folder: Path, tmp_path: Path):
    store = create_app(study_folder).extensions["earmark"].store
    store.enrol("ada")
    copy = tmp_path / "copy.sqlite"
    run = CliRunner().invoke(study_group, ["backup", str(study_folder), "-o", str(copy)])
    assert run.exit_code == 0, run.output
    with sqlite3.connect(copy) as database:
        assert database.execute("SELECT key FROM listener").fetchall() == [("ada",)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = CliRunner().invoke(study_group, ["backup", str(study_folder), "-o", str(copy)])
    assert isinstance(again.exception, UserError) or again.exit_code == 2
