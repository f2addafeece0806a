"""Loading the libraries of worker processes before there are tasks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.baselines.systems import parse
from earmark.eval.comparison import ahead
from earmark.eval.comparison.corpus import ReferenceFormat
from earmark.eval.comparison.plan import Plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "clips" / "speech").mkdir(parents=True)
    (tmp_path / "clips" / "speech" / "a.WAV").touch()
    return Plan(
        audio_dir=tmp_path / "clips", systems=(parse("opus@12"),), metrics=("si_snr", "stoi"), run=tmp_path / "run",
        format=ReferenceFormat(), speech=(), jobs=2, command="",
    )  # fmt: skip


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []
    monkeypatch.setattr(ahead.worker_process, "load_ahead", calls.append)
    return calls


def test_a_new_run_loads_what_its_systems_and_metrics_import(plan, loaded):
    pytest.importorskip("pystoi")
    ahead.load_ahead(plan)
    assert loaded == [["pystoi"]]


def test_nothing_is_loaded_where_there_may_be_nothing_to_do(plan, loaded, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "finished").mkdir()
    (tmp_path / "finished" / "run.json").touch()
    for other in (
        {"audio_dir": tmp_path / "empty"}, {"audio_dir": tmp_path / "none"}, {"run": tmp_path / "finished"},
        {"jobs": 0}, {"cluster": "tcp://host:8786"},
    ):  # fmt: skip
        ahead.load_ahead(replace(plan, **other))
    assert loaded == []


def test_nothing_is_loaded_for_a_plan_that_will_be_refused(plan, loaded, monkeypatch):
    monkeypatch.setattr(ahead.availability, "unavailable_systems", lambda systems: {"opus@12": "no libopus"})
    ahead.load_ahead(plan)
    assert loaded == []


def test_it_begins_before_the_command_has_imported_its_own_work():
    code = (
        "import sys, earmark.eval.compare_cli, earmark.eval.comparison.ahead; "
        "print(*{'earmark.eval.comparison.work', 'scipy', 'pandas', 'torch'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
