"""Every page and notebook of the documentation runs: commands and Python blocks in order, as written, on small inputs.

A block that cannot run here has `<!-- not run: reason -->` above it, and is compiled or parsed by the other tests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.tree import COMMANDS

from .markdown import PAGES, ROOT, blocks, title
from .page_inputs import place
from .page_inputs import programs as place_programs
from .page_runner import SHELL
from .prepared import Prepared

RUN_ELSEWHERE = {  # with closer checks
    ROOT / "docs" / "how-to" / "coming-from.md",  # by test_coming_from.py
    ROOT / "docs" / "tutorial-decoded.md",  # by test_docs_tutorial.py
}
LIBRARIES = (
    "av", "flask", "flask.testing", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg",
    "matplotlib.pyplot", "numpy", "pandas", "polib", "pyarrow.dataset", "pyarrow.parquet", "pyloudnorm",
    "safetensors.torch", "scipy.signal", "scipy.stats", "soundfile", "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite", "sqlalchemy.orm", "torch", "earmark.eval.comparison.runner",
    "earmark.eval.report.page", "earmark.mushra_app.report.page", "earmark.mushra_app.web",
)  # fmt: skip
RUNNABLE = ("python", *SHELL)
WITH_BLOCKS = [
    page
    for page in PAGES
    if page not in RUN_ELSEWHERE and any(block.runs and block.language in RUNNABLE for block in blocks(page))
]


@pytest.fixture(scope="module")
def prepared_for_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """Runs pages in processes of their own, with the stand-ins of programs on PATH; plots open no window."""
    programs = tmp_path_factory.mktemp("programs") / "bin"
    place_programs(programs)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "EARMARK_EVS_DIR": str(programs),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }
    commands = [f"earmark.{entry.module}" for entry in COMMANDS.values()]
    process = Prepared(environment, [*LIBRARIES, *commands], workers=True)
    yield process
    process.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages take for granted."""
    folder = tmp_path_factory.mktemp("inputs")
    place(folder)
    return folder


def run(prepared: Prepared, function: str, page: Path, folder: Path) -> None:
    output = folder.with_name(f"{folder.name}-output.txt")
    status = prepared.call(f"tests.page_runner:{function}", str(page), folder=folder, output=output)
    assert status == 0, output.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=title)
def test_page_runs(page: Path, inputs: Path, tmp_path: Path, prepared_for_pages: Prepared):
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    run(prepared_for_pages, "run_page", page, tmp_path)


@pytest.mark.parametrize("notebook", sorted((ROOT / "docs").rglob("*.ipynb")), ids=title)
def test_notebook_runs(notebook: Path, tmp_path: Path, prepared_for_pages: Prepared):
    run(prepared_for_pages, "run_notebook", notebook, tmp_path)


def test_every_exception_has_a_reason():
    reasons = [block.reason for page in PAGES for block in blocks(page) if not block.runs]
    assert reasons
    assert all(len(reason) > 8 for reason in reasons)
