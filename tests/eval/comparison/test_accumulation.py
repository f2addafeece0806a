"""A run takes in what later commands add, loses nothing, and refuses what does not fit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.run_folder import read_info, read_scores

LOW, MID = "anchor@3.5k", "anchor@7k"
SECONDS = 0.3


def put(folder: Path, name: str, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal((1, round(SECONDS * 16000))) * 0.1
    audio.write(folder / name, noise.astype(np.float32), 16000)


@pytest.fixture
def plan(tmp_path: Path) -> runner.Plan:
    for seed, name in enumerate(("a.wav", "b.wav")):
        put(tmp_path / "clips", name, seed)
    return runner.Plan(
        audio_dir=tmp_path / "clips", systems=tuple(parse_list(LOW)), metrics=("si_snr",), run=tmp_path / "run",
        format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=0, command="earmark compare",
    )  # fmt: skip


def using(plan: runner.Plan, systems: str) -> runner.Plan:
    return replace(plan, systems=tuple(parse_list(systems)))


def cells(plan: runner.Plan) -> set[tuple[str, str, str]]:
    scores = read_scores(plan.run)
    found = list(zip(scores.file, scores.system, scores.metric, strict=True))
    assert len(found) == len(set(found))
    return set(found)


def test_systems_metrics_and_recordings_add_up(plan, tmp_path):
    first = runner.run(plan).scores
    other = replace(using(plan, MID), metrics=("si_sdr",), command="second")
    result = runner.run(other)
    assert result.computed == 2
    assert cells(plan) == {(f, LOW, "si_snr") for f in ("a.wav", "b.wav")} | {
        (f, MID, "si_sdr") for f in ("a.wav", "b.wav")
    }
    kept = result.scores[result.scores.system == LOW].reset_index(drop=True)
    assert kept.equals(first)
    assert result.own.info["systems"] == [MID]

    put(tmp_path / "more", "c.wav", 3)
    result = runner.run(replace(plan, audio_dir=tmp_path / "more", metrics=("si_sdr",), command="third"))
    # A system keeps the metrics that it has: the new recording gets both.
    assert cells(plan) == {(f, LOW, m) for f in ("a.wav", "b.wav") for m in ("si_snr",)} | {
        ("c.wav", LOW, "si_sdr"), ("c.wav", LOW, "si_snr"), ("a.wav", MID, "si_sdr"), ("b.wav", MID, "si_sdr"),
    }  # fmt: skip
    info = read_info(plan.run)
    assert (info["systems"], info["metrics"]) == ([LOW, MID], ["si_snr", "si_sdr"])
    assert {entry["file"] for entry in info["recordings"]} == {"a.wav", "b.wav", "c.wav"}
    assert [entry["command"] for entry in info["history"]] == ["earmark compare", "second"]
    assert runner.run(plan).computed == 2  # and the earlier recordings get both now
    assert runner.run(plan).changed is False


def test_replace_starts_over(plan):
    runner.run(using(plan, f"{LOW},{MID}"))
    (plan.run / "notes.txt").write_text("mine")
    result = runner.run(replace(plan, replace=True))
    assert result.computed == 2
    assert {system for _, system, _ in cells(plan)} == {LOW}
    assert not (plan.run / "audio" / MID).exists()
    assert (plan.run / "notes.txt").read_text() == "mine"
    assert read_info(plan.run)["history"] == []


def test_a_metric_that_a_system_has_is_computed_again_with_its_signal(plan, tmp_path):
    """Otherwise a score would be left of a recording that is not there any more."""
    before = runner.run(replace(plan, metrics=("si_snr", "si_sdr"))).scores
    put(tmp_path / "clips", "a.wav", 7)
    after = runner.run(plan).scores
    assert len(after) == len(before) == 4
    changed = (before.value != after.value).tolist()
    assert changed == (before.file == "a.wav").tolist()


def test_what_does_not_fit_is_refused_before_any_work(plan, tmp_path):
    runner.run(plan)
    before = cells(plan)
    other = using(plan, MID)
    changes = {
        "sample rate: each recording's own against 8000 Hz": replace(other, format=ReferenceFormat(8000)),
        "channels averaged: no against yes": replace(other, format=ReferenceFormat(mono=True)),
        "only one scores clips as speech": replace(other, speech=("clips",)),
        "a.wav has another content": other,
    }
    for says, changed in changes.items():
        if changed is other:
            put(tmp_path / "clips", "a.wav", 9)
        with pytest.raises(UserError, match=f"does not fit together with what it has of {LOW}: {says}"):
            runner.run(changed)
    assert cells(plan) == before
    assert not (plan.run / "audio" / MID).exists()


def test_another_version_of_a_metric_is_refused_unless_all_is_scored_again(plan, monkeypatch):
    runner.run(using(plan, f"{LOW},{MID}"))
    from earmark.eval.metrics import registry

    found = registry.find("si_snr")
    others = registry.registered()
    newer = {**others, "si_snr": replace(found, version=lambda: "2")}
    monkeypatch.setattr(registry, "registered", lambda: newer)
    with pytest.raises(UserError, match=f"of {MID}: si_snr by .* against 2"):
        runner.run(plan)
    assert runner.run(using(plan, f"{LOW},{MID}")).computed == 4


def test_other_recordings_of_the_same_names_are_refused(plan, tmp_path):
    runner.run(plan)
    put(tmp_path / "others", "a.wav", 5)
    with pytest.raises(UserError, match=r"has other recordings of the same names from .*clips: a.wav has another"):
        runner.run(replace(plan, audio_dir=tmp_path / "others"))


def test_a_command_that_ends_meanwhile_loses_nothing(plan, monkeypatch):
    """The other command starts and ends between the look at the run and the writing."""
    done = runner._do

    def do(*work):
        done(*work)
        monkeypatch.setattr(runner, "_do", done)
        runner.run(using(plan, MID))

    monkeypatch.setattr(runner, "_do", do)
    runner.run(plan)
    assert {system for _, system, _ in cells(plan)} == {LOW, MID}


def test_two_processes_at_once_lose_nothing(plan):
    """Four commands in two processes, which write the same run at the same time."""
    program = (
        "import sys, earmark\n"
        "for cutoff in sys.argv[3].split(','):\n"
        "    earmark.compare(sys.argv[1], [f'anchor@{cutoff}k'], metrics=['si_snr'], out=sys.argv[2], jobs=0)\n"
    )
    cutoffs = ("2,3", "5,6")
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(plan.audio_dir), str(plan.run), one]) for one in cutoffs
    ]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    assert cells(plan) == {(f, f"anchor@{k}k", "si_snr") for f in ("a.wav", "b.wav") for k in (2, 3, 5, 6)}
    info = read_info(plan.run)
    assert sorted(info["systems"]) == [f"anchor@{k}k" for k in (2, 3, 5, 6)]
    assert len(info["history"]) == 3
    page = (plan.run / "report.html").read_text()
    assert all(f"anchor@{k}k" in page for k in (2, 3, 5, 6))


def test_a_system_that_cannot_run_any_more_keeps_its_scores(plan, monkeypatch):
    before = runner.run(using(plan, f"{LOW},{MID}")).scores
    monkeypatch.setattr(runner, "unavailable_systems", lambda systems: {MID: "its program is gone"})
    after = runner.run(using(plan, f"{LOW},{MID}"))
    assert after.scores.equals(before)
    assert any("its program is gone" in line for line in after.failures)
