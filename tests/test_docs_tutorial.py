"""The tutorial on decoded audio from beginning to end: its commands and its Python block, in the order of the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click.testing
import pandas as pd
import pytest

from earmark.cli import cli

from .markdown import ROOT, blocks, commands

PAGE = ROOT / "docs" / "tutorial-decoded.md"
SYSTEMS = ["opus@6", "mp3@32", "A@6", "B@6", "C@9.6", "D"]


def run(arguments: list[str]) -> click.testing.Result:
    done = click.testing.CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    assert not done.return_value, done.output
    return done


def test_the_page_runs_from_beginning_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["earmark"])
    first, compare, tables, differences, build, check = commands(PAGE)  # six and no more
    run(first)
    (python,) = [block.code for block in blocks(PAGE) if block.language == "python"]
    if len(list(Path("demo").rglob("*.wav"))) < 8:
        pytest.skip("the demonstration set has no speech here (espeakng-loader is not installed)")
    exec(compile(python, PAGE.name, "exec"), {"__name__": "page"})
    assert len(list(Path("clips").rglob("*.flac"))) == 8

    done = run(compare)
    shown = next(block.code for block in blocks(PAGE) if block.language == "text")
    for line in shown.splitlines():  # what the page says that it prints
        assert all(part in done.stderr for part in line.split("...")), line
    for system, matched in (("B@6", 8), ("C@9.6", 8)):
        assert f"{system}: {matched} of 8 recordings matched" in done.stderr
    assert "8 recordings x 6 systems: 46 computed, 0 reused, 0 failed, 2 missing" in done.stdout
    scores = pd.read_parquet("run/scores.parquet")
    assert (scores.status == "ok").all()
    recordings = scores.groupby("system").file.nunique()
    assert recordings[SYSTEMS].tolist() == [8, 8, 8, 8, 8, 6]
    # The noise of C and D is added at 15 and 9 dB in every recording, which resampling and rounding do not change.
    means = scores[scores.metric == "si_snr"].groupby("system").value.mean()
    assert means[["C@9.6", "D"]].tolist() == pytest.approx([15, 9], abs=0.1)
    report = Path("run/report.html").read_text(encoding="utf-8")
    assert all(system in report for system in SYSTEMS)
    assert "no decoded audio of 2 recordings" in report

    run(tables)
    table = Path("scores.tex").read_text(encoding="utf-8")
    assert all(system in table for system in SYSTEMS)
    assert "The mean difference from opus@6" in table
    pairs = run(differences).stdout
    assert "D       opus@6       6" in pairs  # over the recordings that both have

    run(build)
    study = json.loads(Path("study/study.json").read_text(encoding="utf-8"))
    assert {condition["name"] for condition in study["conditions"]} == {*SYSTEMS, "reference", "anchor@3.5k"}
    assert len(study["items"]) == 6
    assert "0 of 10 checks failed" in run(check).stdout
