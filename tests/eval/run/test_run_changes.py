"""Dropping parts of a run, merging runs, and cleaning: what stays is as it was."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import earmark
from earmark.baselines.systems import parse_list
from earmark.cli import cli
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import records, runner
from earmark.eval.comparison.accumulation import Content
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.run_folder import audio_path, read_info, read_scores
from earmark.eval.report import cutting, results
from earmark.eval.run import changes, cleaning
from earmark.eval.run.cli import run_group
from earmark.eval.run.overview import overview

LOW, MID = "anchor@3.5k", "anchor@7k"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> runner.Plan:
    """Two recordings, two systems, two metrics."""
    folder = tmp_path_factory.mktemp("finished")
    for seed, name in enumerate(("a.wav", "b.wav")):
        noise = np.random.default_rng(seed).standard_normal((1, 4800)) * 0.1
        audio.write(folder / "clips" / name, noise.astype(np.float32), 16000)
    plan = runner.Plan(
        audio_dir=folder / "clips", systems=tuple(parse_list(f"{LOW},{MID}")), metrics=("si_snr", "si_sdr"),
        run=folder / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=0, command="first",
    )  # fmt: skip
    runner.run(plan)
    return plan


@pytest.fixture
def plan(finished: runner.Plan, tmp_path: Path) -> runner.Plan:
    """A copy of the run that a test may change."""
    shutil.copytree(finished.run, tmp_path / "run")
    return replace(finished, run=tmp_path / "run")


def files(run: Path) -> set[str]:
    return {path.relative_to(run / "audio").as_posix() for path in (run / "audio").rglob("*.wav")}


def test_drop_leaves_the_rest_as_it_was(plan):
    before = read_scores(plan.run)
    assert changes.drop(plan.run, systems=[LOW], files=["a.wav"]) == 4  # of a.wav the source, too
    expected = before[(before.system == MID) & (before.file == "b.wav")].reset_index(drop=True)
    pd.testing.assert_frame_equal(read_scores(plan.run), expected)
    info = read_info(plan.run)
    assert (info["systems"], [one["file"] for one in info["recordings"]]) == ([MID], ["b.wav"])
    assert LOW not in info["versions"]
    assert files(plan.run) == {f"{MID}/b.wav", "reference/b.wav"}
    assert not (plan.run / "audio" / LOW).exists()
    changes.drop(plan.run, metrics=["si_sdr"])
    assert read_info(plan.run)["metrics"] == ["si_snr"]
    assert list(read_info(plan.run)["metric_versions"]) == ["si_snr"]
    assert runner.run(plan).computed == 3  # what was dropped can be made again


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"systems": ["anchor@3.4k"]}, r"--systems anchor@3.4k: not in this run; it has .*did you mean anchor@3.5k"),
        ({"files": ["c.wav"]}, "--recordings c.wav: not in this run"),
        ({"systems": [LOW, MID]}, "nothing would be left of the run"),
    ],
)
def test_what_cannot_be_dropped(plan, what, says):
    with pytest.raises(UserError, match=says):
        changes.drop(plan.run, **what)
    assert len(read_scores(plan.run)) == 8


def test_merged_runs_have_everything_once(plan, tmp_path):
    """Two runs of the same recordings with a system in common."""
    one, two = tmp_path / "one", tmp_path / "two"
    for run, gone in ((one, {"systems": [MID]}), (two, {"files": ["b.wav"]})):
        shutil.copytree(plan.run, run)
        changes.drop(run, **gone)
    changes.merge([one, two], tmp_path / "out", "earmark run merge one two")
    merged, whole = read_scores(tmp_path / "out"), read_scores(plan.run)
    expected = whole[(whole.system == LOW) | (whole.file == "a.wav")].reset_index(drop=True)
    pd.testing.assert_frame_equal(merged, expected)
    assert files(tmp_path / "out") == {
        f"{LOW}/a.wav", f"{LOW}/b.wav", f"{MID}/a.wav", "reference/a.wav", "reference/b.wav"
    }  # fmt: skip
    assert [entry["command"] for entry in read_info(tmp_path / "out")["history"]] == ["first", "first"]
    assert runner.run(replace(plan, run=tmp_path / "out")).computed == 1  # its records go on
    assert len(read_scores(two)) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.info.update(sample_rate=8000), "sample rate: each recording's own against 8000 Hz"),
        (lambda one: one.info["metric_versions"].update(si_snr="9"), "si_snr by .* against 9"),
        (lambda one: one.info["recordings"][0].update(sha256="0"), "a.wav has another content"),
    ],
)
def test_runs_that_do_not_fit_are_not_merged(plan, change, says):
    ours = Content(read_scores(plan.run), read_info(plan.run))
    theirs = Content(ours.scores.assign(system=ours.scores.system.replace(LOW, "other")), read_info(plan.run))
    theirs.info["systems"] = ["other", MID]
    change(theirs)
    with pytest.raises(UserError, match=f"{says}.*; leave one out by `earmark run drop`"):
        changes.joined_content([plan.run, Path("two")], [ours, theirs])


def test_two_values_of_one_score_are_not_merged(plan):
    ours = Content(read_scores(plan.run), read_info(plan.run))
    theirs = Content(ours.scores.assign(value=ours.scores.value + 1), read_info(plan.run))
    with pytest.raises(UserError, match=r"two: si_snr of a.wav in anchor@3.5k is .*\(8 scores differ\)"):
        changes.joined_content([plan.run, Path("two")], [ours, theirs])


def test_cleaning_deletes_what_nothing_refers_to(plan):
    before = read_scores(plan.run)
    for metrics in (("stft_distance",), ("mel_distance",)):  # each replaces the records with new ones
        runner.run(replace(plan, metrics=metrics))
    lost = audio_path(plan.run, "anchor@2k", "a.wav")
    left = plan.run / "audio" / MID / ".a.wav.99.part"
    young = audio_path(plan.run, "anchor@2k", "b.wav")
    for number, path in enumerate((lost, left, young)):
        audio.write(path, np.full((1, 100 + number), 0.1, np.float32), 16000)
    for path in (lost, left):
        os.utime(path, (1e9, 1e9))
    garbage = cleaning.find(plan.run)
    assert (garbage.audio, garbage.parts) == ((lost,), (left,))
    # Six records of the first command, of which the four of the systems were replaced twice.
    assert (garbage.rows, garbage.kept) == (14, 6)
    cleaning.clean(plan.run, garbage)
    assert (lost.exists(), left.exists(), young.exists()) == (False, False, True)
    assert len(list((plan.run / "records").iterdir())) == 1
    assert len(records.read(plan.run)) == 6
    assert runner.run(replace(plan, metrics=("si_snr", "stft_distance", "mel_distance"))).computed == 0
    scores = read_scores(plan.run)
    pd.testing.assert_frame_equal(scores[scores.metric.isin(plan.metrics)].reset_index(drop=True), before)


def test_the_overview_names_systems_recordings_and_commands(plan):
    grid = overview(plan.run, read_scores(plan.run), read_info(plan.run))
    assert [row[0] for row in grid.rows] == [LOW, MID]
    assert grid.rows[0][1] == "yardstick"
    assert grid.rows[0][3] == "2 of 2"
    assert any("Recordings: 2 clips; 0.0 min" in note for note in grid.notes)
    assert grid.notes[-1].endswith(": first")


def test_the_commands(plan, tmp_path):
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(run_group, [str(one) for one in arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert LOW in run("show", plan.run)
    assert "4 of 8 to remove" in run("drop", plan.run, "-s", LOW, "--dry-run")
    other = shutil.copytree(plan.run, tmp_path / "other")
    assert "4 scores removed, 2 audio files deleted" in run("drop", other, "--system", LOW)
    assert LOW not in (other / "report.html").read_text()
    assert "2 recordings x 2 systems, 2 metrics" in run("merge", plan.run, other, "--out", tmp_path / "both")
    assert LOW in (tmp_path / "both" / "report.html").read_text()
    assert "0 files deleted" in run("gc", plan.run)


@pytest.mark.parametrize("command", [
    "run drop {run} -m si_sdr",
    "run merge {run} {other} -o {new}",
    "tables {run} --report --add {added}",
    "worst {run} -s anchor@7k -o {new}",
])  # fmt: skip
def test_players_that_cannot_be_cut_are_a_failure_of_each_command_that_writes_them(plan, tmp_path, command):
    audio_path(plan.run, MID, "b.wav").write_bytes(b"no audio")
    other, added = shutil.copytree(plan.run, tmp_path / "other"), tmp_path / "added.csv"
    added.write_text("system,kbps,metric,mean,source\npaper@6,6,si_snr,5.0,A paper\n")
    paths = {"run": plan.run, "other": other, "new": tmp_path / "new", "added": added}
    result = CliRunner().invoke(cli, command.format(**paths).split(), standalone_mode=False)
    assert result.exception is None
    assert result.return_value == 1
    assert "failed: report: no player for b.wav: LibsndfileError: " in result.output


def test_compare_ends_with_1_if_a_player_cannot_be_cut(plan, monkeypatch):
    """Damaged audio of the run would be decoded again first, so a disk error stands for it."""

    def fail(path: Path, *_: object) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(cutting, "read", fail)
    call = ["compare", str(plan.audio_dir), "-s", f"{LOW},{MID}", "-m", "si_snr,si_sdr", "-o", str(plan.run)]
    result = CliRunner().invoke(cli, [*call, "--listen-by", "si_sdr"], standalone_mode=False)
    assert result.exception is None
    assert result.return_value == 1
    assert "0 computed, 4 reused, 0 failed" in result.output
    assert "failed: report: no player for a.wav: OSError: [Errno 5] Input/output error: " in result.output
    assert "<h3>Failed players</h3>" in (plan.run / "report.html").read_text()


@pytest.mark.parametrize("by", ["command", "function"])
def test_compare_lets_its_workers_help_with_the_report(plan, monkeypatch, by):
    given, refresh = [], results.refresh

    def spy(*arguments: Any, **options: Any) -> results.Written:
        given.append(options["workers"])
        return refresh(*arguments, **options)

    monkeypatch.setattr(results, "refresh", spy)
    if by == "command":
        call = ["compare", str(plan.audio_dir), "-s", LOW, "-m", "si_snr", "-o", str(plan.run), "-j", "3"]
        assert CliRunner().invoke(cli, call, standalone_mode=False).exception is None
    else:
        earmark.compare(plan.audio_dir, [LOW], metrics=["si_snr"], out=plan.run, jobs=3)
    (workers,) = given
    assert isinstance(workers, Workers)
    assert workers.jobs == 3
