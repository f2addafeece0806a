"""`earmark mushra serve` as a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from codec.errors import UserError
from mushra_app import study as studies

ROOT = Path(__file__).resolve().parents[2]


def serve(folder: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", str(ROOT / "earmark.py"), "mushra", "serve", str(folder), "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_says_where_it_is_answers_there_and_ends_on_ctrl_c(study_folder):
    process = serve(study_folder, 0)
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
    assert found is not None
    with urllib.request.urlopen(found[0], timeout=20) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_line(study_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, errors = (process := serve(study_folder, port)).communicate(timeout=30)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert f"--port {port}: cannot listen there (Address already in use)" in errors


def test_a_damaged_study_is_one_line(tmp_path):
    (tmp_path / "study.json").write_text('{"format": 1}')
    with pytest.raises(UserError, match=r"study\.json: damaged or made by hand"):
        studies.load(tmp_path)
