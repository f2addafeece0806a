"""Notes on what a run holds beside what a command names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.audio import write


def _compare(root: Path, *options: str) -> str:
    done = CliRunner().invoke(cli, ["compare", str(root / "a"), *options, "-o", str(root / "run"), "-j", "1"])
    assert done.exit_code == 0, done.output
    return done.stderr


def test_other_systems_of_the_run_are_noted_and_repeated_options_add_up(tmp_path: Path):
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 12000)).astype(np.float32)
    write(tmp_path / "a" / "a.wav", noise, 24000)
    assert "note:" not in _compare(tmp_path, "-s", "mp3@64", "-s", "mp3@128", "-m", "si_snr", "-m", "stoi")
    assert "note:" not in _compare(tmp_path, "-s", "mp3@64,mp3@128", "-m", "si_snr,stoi")
    said = _compare(tmp_path, "-s", "mp3@64", "-m", "stoi")
    assert "also has mp3@128; `earmark run drop` removes a system, --replace starts over" in said
