"""Every page of the documentation runs: its commands and Python blocks in order, as written, on small inputs.

A block that cannot run here has `<!-- not run: reason -->` above it, and is compiled or parsed by the other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .markdown import PAGES, ROOT, blocks, title
from .page_inputs import place
from .page_runner import SHELL

RUN_ELSEWHERE = {  # with closer checks
    ROOT / "docs" / "how-to" / "coming-from.md",  # by test_coming_from.py
    ROOT / "docs" / "tutorial-decoded.md",  # by test_docs_tutorial.py
}
RUNNABLE = ("python", *SHELL)
WITH_BLOCKS = [
    page
    for page in PAGES
    if page not in RUN_ELSEWHERE and any(block.runs and block.language in RUNNABLE for block in blocks(page))
]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=title)
def test_page_runs(page: Path, tmp_path: Path):
    place(tmp_path)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "EARMARK_EVS_DIR": str(tmp_path / "bin"),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "page_runner.py"), str(page)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_every_exception_has_a_reason():
    reasons = [block.reason for page in PAGES for block in blocks(page) if not block.runs]
    assert reasons
    assert all(len(reason) > 8 for reason in reasons)
