"""`make clean` removes what make built and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("demo", ["demo", "my demo"])
def test_clean_keeps_ratings_and_other_paths(tmp_path: Path, demo: str):
    """DEMO with a space named two other paths, "my" and "demo"."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = [tmp_path / name / "study" / "ratings.sqlite" for name in ("demo", "my demo", "my")]
    for path in (*kept, tmp_path / "build" / "x", tmp_path / "earmark.egg-info" / "x"):
        path.parent.mkdir(parents=True)
        path.touch()
    subprocess.run(["make", "clean", f"DEMO={demo}"], cwd=tmp_path, check=True, capture_output=True)
    assert all(path.exists() for path in kept)
    assert not (tmp_path / "build").exists()
    assert not (tmp_path / "earmark.egg-info").exists()
