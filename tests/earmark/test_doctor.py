"""`earmark doctor` names what is missing, each with its remedy, and ends with 1 if something needs repair."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from earmark import doctor


def _lines(output: str, title: str) -> list[str]:
    section = next(part for part in output.split("\n\n") if part.startswith(f"{title}\n"))
    return [line.strip() for line in section.replace("\n" + " " * 11, " ").splitlines()]


def test_each_gap_has_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    absent = {"soundfile", "pesq"}
    installed = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: None if name in absent else installed(name))
    (tmp_path / "file").touch()
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    done = CliRunner().invoke(doctor.doctor, [], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 1
    lines = [line for line in done.stdout.splitlines() if str(tmp_path) not in line]  # a path stays whole
    assert max(map(len, lines[1:])) <= 100
    required = _lines(done.stdout, "Required")
    assert "broken   soundfile: not installed; run `pip install soundfile`" in required
    assert any(line.startswith("broken   cache: ") and "set EARMARK_CACHE to a folder" in line for line in required)
    assert any(line.startswith("ok") and "numpy " in line for line in required)
    assert "missing  pesq: pesq; run `pip install 'earmark[pesq]'`" in _lines(done.stdout, "Extras")
    assert any("EARMARK_EVS_DIR" in line for line in _lines(done.stdout, "Codecs") if line.startswith("missing  evs"))
    weights = _lines(done.stdout, "Weights")
    assert "missing  encodec_24khz: not downloaded; run `earmark download encodec_24khz`" in weights


def test_a_sound_installation_ends_with_0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "new" / "cache"))
    done = CliRunner().invoke(doctor.doctor, [], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0)
    assert not (tmp_path / "new").exists()  # it looks, and makes nothing
