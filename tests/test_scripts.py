"""Tests of the pages' scripts that need no browser: tests/js, run by Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OLDEST = 20  # Node: the first version with a stable test runner


@pytest.fixture(scope="module")
def node() -> str:
    """Path of Node; tests are skipped if it is missing or too old."""
    path = shutil.which("node")
    if path is None:
        pytest.skip(f"no node installed; the tests of scripts need Node {OLDEST}")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST:
        pytest.skip(f"the tests of scripts need Node {OLDEST}; {version} is installed")
    return path


@pytest.mark.parametrize("script", sorted((ROOT / "tests" / "js").glob("*.test.js")), ids=lambda path: path.name)
def test_script(node: str, script: Path):
    finished = subprocess.run([node, "--test", script], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
