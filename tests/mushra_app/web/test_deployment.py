"""A study under a path of a public address, in other sites' frames, and as deploy/compose.yaml starts it."""

from __future__ import annotations

import re
import shlex
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from sqlalchemy import make_url
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


class PrefixProxy(ThreadingHTTPServer):
    """A reverse proxy that strips the path /listen/ and forwards the rest; another site answers everywhere else."""

    daemon_threads = True

    def __init__(self, app_port: int) -> None:
        super().__init__(("127.0.0.1", 0), PrefixHandler)
        self.app_port = app_port
        self.leads_to_app = True
        self.url = f"http://127.0.0.1:{self.server_port}/listen/"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class PrefixHandler(BaseHTTPRequestHandler):
    server: PrefixProxy

    def do_GET(self) -> None:
        if not (self.path.startswith("/listen/") and self.server.leads_to_app):
            self.answer(200, [], b'{"study": "another", "status": "ok"}')
            return
        app = HTTPConnection("127.0.0.1", self.server.app_port, timeout=20)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {**self.headers, "Host": "internal:1", "X-Forwarded-For": "203.0.113.9"}
        app.request(self.command, self.path.removeprefix("/listen"), body, headers)
        answer = app.getresponse()
        self.answer(answer.status, answer.getheaders(), answer.read())
        app.close()

    do_POST = do_GET  # noqa: N815 - BaseHTTPRequestHandler's name

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def recipe(service: str) -> dict[str, Any]:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"app", "database", "proxy"}
    return services[service]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def container(
    study_folder: Path, postgresql_server: str | None, request: pytest.FixtureRequest
) -> Iterator[tuple[subprocess.Popen[str], PrefixProxy, str]]:
    """The process of the recipe's service `app` behind a proxy that does not lead to it yet; its database.

    The database is PostgreSQL where it is installed, else SQLite.
    """
    database = f"sqlite:///{study_folder / 'ratings.sqlite'}"
    if postgresql_server is not None:
        database = request.getfixturevalue("postgresql")
    port = free_port()
    proxy = PrefixProxy(port)
    proxy.leads_to_app = False
    changes = {
        "/study": str(study_folder), "--port": str(port), "--host": "127.0.0.1", "--url": proxy.url,
        "--database": database,
    }  # fmt: skip
    command = []
    for part in recipe("app")["command"]:
        name, is_option, _ = part.partition("=")
        command.append(f"{name}={changes[name]}" if is_option and name in changes else changes.get(part, part))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "earmark", *command, "--force"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    limit = threading.Timer(120, process.terminate)  # so that a line that never comes fails the test
    limit.start()
    yield process, proxy, database
    limit.cancel()
    process.terminate()
    process.communicate(timeout=20)
    proxy.shutdown()
    proxy.server_close()


def test_the_processes_of_the_recipe(
    container: tuple[subprocess.Popen[str], PrefixProxy, str], study_folder: Path, tmp_path: Path
):
    """gunicorn, PostgreSQL, a proxy that strips a path, the note on a wrong address, health, a session, a backup."""
    process, proxy, database = container
    assert process.stdout is not None
    assert process.stderr is not None
    assert f": {proxy.url} " in process.stdout.readline()
    notes = iter(process.stderr.readline, "")
    assert next((line for line in notes if "--url" in line), None) == (
        f"note: --url {proxy.url}: something else than this study answers there; let the proxy forward that to this "
        "server\n"
    )

    def check() -> Result:
        return CliRunner().invoke(study_group, ["check", str(study_folder), "--url", proxy.url])

    wrong = check()
    assert wrong.exit_code == 1
    assert f"--url {proxy.url}: something else than this study answers there" in wrong.output
    proxy.leads_to_app = True
    assert f"--url {proxy.url}: leads to this study" in check().output
    test = [part.replace(":8000", f":{proxy.app_port}") for part in recipe("app")["healthcheck"]["test"][1:]]
    assert subprocess.run([sys.executable, *test[1:]], check=False).returncode == 0

    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    page = browser.open(proxy.url, timeout=20).read().decode()
    assert 'action="/listen/start"' in page
    form = urllib.parse.urlencode({"token": field(page, "token"), "consent": "yes"}).encode()
    with browser.open(f"{proxy.url}start", form, timeout=20) as volume:
        assert volume.url == f"{proxy.url}page/volume"
    if database.startswith("postgresql"):
        assert backed_up_listeners(database, tmp_path) == "1"


def backed_up_listeners(database: str, folder: Path) -> str:
    """Number of listeners in a database restored from a copy, by the commands of the recipe and of its page."""
    server = make_url(database)
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    socket_folder = f"--host={server.query['host']}"
    [ready, *options] = recipe("database")["healthcheck"]["test"][1:]
    subprocess.run([tools / ready, *options, socket_folder], check=True, stdout=subprocess.DEVNULL)
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    (dump,) = re.findall(r"exec -T database (pg_dump \S+) earmark > monday\.sql", page)
    program, user = dump.split()
    copy = subprocess.run([tools / program, user, socket_folder, server.database], check=True, capture_output=True)
    psql = [tools / "psql", user, socket_folder]
    subprocess.run([*psql, "--quiet", "--command=CREATE DATABASE old", "postgres"], check=True)
    for line in re.findall(r"exec -T database psql (.*)", page):  # the app is connected to the database earmark here
        command, _, file = (
            line.replace("DATABASE earmark", "DATABASE old").replace("TO earmark", "TO old").partition(" < ")
        )
        content = copy.stdout if file == "monday.sql" else b""
        subprocess.run([tools / "psql", socket_folder, *shlex.split(command)], check=True, input=content,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    count = subprocess.run([*psql, "-qtA", "--command=SELECT count(*) FROM listener", "old"], check=True,
                           capture_output=True, text=True)  # fmt: skip
    drop = ["--command=DROP DATABASE old", "--command=DROP DATABASE damaged"]
    subprocess.run([*psql, "--quiet", *drop, "postgres"], check=True)
    return count.stdout.strip()


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
