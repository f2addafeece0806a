"""Notes on what a run showed before and no longer does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.audio import write


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        noise = np.random.default_rng(len(folder)).normal(0, 0.1, (1, 12000)).astype(np.float32)
        write(tmp_path / folder / f"{folder}.wav", noise, 24000)
    _compare(tmp_path, "a", "-s", "mp3@64", "-s", "mp3@128", "-m", "si_snr", "-m", "stoi")
    return tmp_path


def _compare(root: Path, audio: str, *options: str) -> str:
    done = CliRunner().invoke(cli, ["compare", str(root / audio), *options, "-o", str(root / "run"), "-j", "1"])
    assert done.exit_code == 0, done.output
    return done.stderr


def test_repeated_options_add_up_and_the_same_command_notes_nothing(run: Path):
    assert "note:" not in _compare(run, "a", "-s", "mp3@64,mp3@128", "-m", "si_snr,stoi")
    assert "note:" not in _compare(run, "a", "-s", "mp3@64,mp3@128,mp3@32", "-m", "si_snr,stoi")


def test_fewer_systems_and_metrics_are_noted(run: Path):
    said = _compare(run, "a", "-s", "mp3@64", "-m", "stoi")
    assert "no longer show mp3@128; add to --systems to keep them" in said
    assert "no longer show si_snr; add to --metrics to keep them" in said


def test_another_folder_of_recordings_is_noted(run: Path):
    said = _compare(run, "b", "-s", "mp3@64,mp3@128", "-m", "si_snr,stoi")
    assert f"no longer show the recordings of {run / 'a'}" in said
