"""`earmark study serve` as a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.web import Options, create_app
from earmark.mushra_app.web.serving import address_of

ROOT = Path(__file__).resolve().parents[3]


def serve(folder: Path, port: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "earmark", "study", "serve", str(folder), "--port", str(port)]
    command += options
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_prints_its_address_answers_there_and_ends_on_ctrl_c(study_folder):
    process = serve(study_folder, 0)
    assert process.stdout is not None
    match = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
    assert match is not None
    with urllib.request.urlopen(match[0], timeout=20) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_port_in_use_is_an_error_of_one_line(study_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, errors = (process := serve(study_folder, port)).communicate(timeout=30)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert f"--port {port}: cannot listen there (Address already in use)" in errors


def test_a_study_that_fails_a_check_leaves_no_database(study_folder):
    for path in (study_folder / "audio").iterdir():
        audio.write(path, np.zeros((1, 24_000), np.float32), 48_000, "PCM_16")
    _, errors = (process := serve(study_folder, 0)).communicate(timeout=30)
    assert process.returncode == 2
    assert "silence: " in errors.splitlines()[-1]
    assert not (study_folder / "ratings.sqlite").exists()


def test_a_damaged_study_is_an_error_of_one_line(tmp_path):
    (tmp_path / "study.json").write_text('{"format": 1}')
    with pytest.raises(UserError, match=r"study\.json: damaged or made by hand"):
        studies.load(tmp_path)


def test_the_first_run_makes_the_experimenter_s_password_and_later_ones_keep_it(study_folder):
    passwords = []
    for _ in range(2):
        process = serve(study_folder, 0)
        assert process.stdout is not None
        process.stdout.readline()
        passwords.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    match = re.search(r"admin page: http://127\.0\.0\.1:\d+/admin/  password: (\S{16})  \(shown once", passwords[0])
    assert match is not None
    assert "the one printed by the first run (--new-password makes another)" in passwords[1]


def test_several_workers_share_the_work_and_end_together(study_folder):
    process = serve(study_folder, 0, "--workers", "2")
    assert process.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
    for _ in range(8):
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"), ("localhost", "http://localhost:8000/"), ("::1", "http://[::1]:8000/"),
        ("0.0.0.0", f"http://{socket.gethostname()}:8000/"), ("::", f"http://{socket.gethostname()}:8000/"),
    ],
)  # fmt: skip
def test_the_address_works_in_browsers(host: str, address: str):
    """RFC 3986, 3.2.2: an IPv6 address stands in brackets. No browser reaches 0.0.0.0 on another machine."""
    assert address_of(host, 8000) == address


def test_a_public_address_is_checked(study_folder):
    _, errors = (process := serve(study_folder, 0, "--url", "listen.example")).communicate(timeout=30)
    assert process.returncode == 2
    assert "--url listen.example: must begin with https://" in errors


def test_behind_a_proxy_links_are_public_and_cookies_secure(study_folder):
    app = create_app(study_folder, Options(url="https://listen.example/test/"))
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "listen.example", "X-Forwarded-Prefix": "/test"}
    answer = app.test_client().get("/", headers=headers)
    assert 'action="/test/start"' in answer.text
    assert "Secure" in answer.headers["Set-Cookie"]


def test_without_a_proxy_its_headers_are_ignored(study_folder):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil"}
    answer = create_app(study_folder).test_client().get("/", headers=headers)
    assert "evil" not in answer.text
    assert "Secure" not in answer.headers["Set-Cookie"]
