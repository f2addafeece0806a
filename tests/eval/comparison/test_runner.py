"""A run: what it computes, what it reuses, and how bad files are reported."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earmark.baselines.function_codec import as_codec
from earmark.baselines.systems import parse, parse_list
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat, find, sha256
from earmark.eval.comparison.machine import machine
from earmark.eval.comparison.run_folder import audio_path, read_info, read_scores
from earmark.eval.comparison.work import Task, attempt
from earmark.eval.metrics.si_snr import si_snr

COLUMNS = [
    "file", "category", "system", "metric", "value", "status", "reason", "kbps_nominal", "kbps", "payload_bytes",
    "coded_seconds", "file_bytes", "lag", "lag_left", "encode_seconds", "decode_seconds", "duration", "delay", "sign",
    "gain_db", "peak", "drift_ppm", "missing", "extra", "true_peak_db", "beyond_full_scale", "marks",
]  # fmt: skip


@pytest.fixture
def plan(corpus_dir: Path, tmp_path: Path) -> runner.Plan:
    return runner.Plan(
        audio_dir=corpus_dir, systems=tuple(parse_list("reference,opus@12,anchor@3.5k")), metrics=("si_snr",),
        run=tmp_path / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=2, command="earmark compare",
    )  # fmt: skip


def with_systems(plan: runner.Plan, systems: str) -> runner.Plan:
    return replace(plan, systems=tuple(parse_list(systems)))


def test_one_row_for_each_recording_system_and_metric(plan):
    result = runner.run(plan)
    assert list(result.scores.columns) == COLUMNS
    assert len(result.scores) == 3 * 3 * 1
    assert result.failures == []
    pd.testing.assert_frame_equal(read_scores(plan.run), result.scores)

    by_system = dict(list(result.scores.groupby("system")))
    assert (by_system["reference"].status == "undefined").all()  # a signal has no finite SI-SNR with itself
    assert by_system["reference"].value.isna().all()
    for uncoded in ("reference", "anchor@3.5k"):
        assert by_system[uncoded].kbps.isna().all()
        assert (by_system[uncoded].lag == 0).all()
    opus = by_system["opus@12"]
    assert (opus.kbps_nominal == 12).all()
    assert opus.kbps.between(6, 16).all()
    assert (opus.duration == 1.5).all()
    assert (opus.encode_seconds > 0).all()


def test_scores_are_those_of_the_decoded_files(plan):
    result = runner.run(plan)
    for row in result.scores[result.scores.system == "opus@12"].itertuples():
        source = audio.read(plan.audio_dir / row.file)
        decoded = audio.read(audio_path(plan.run, row.system, row.file))
        assert decoded.samples.shape == source.samples.shape
        assert decoded.sample_rate == source.sample_rate
        assert si_snr(source.samples, decoded.samples).value == pytest.approx(row.value, rel=1e-9)
        np.testing.assert_array_equal(audio.read(audio_path(plan.run, "reference", row.file)).samples, source.samples)


def test_the_measured_rate_counts_payload_bytes(plan):
    result = runner.run(with_systems(plan, "mp3@64"))
    row = result.scores[result.scores.file == "music/c.wav"].iloc[0]
    # 48 kHz: 1.5 s and 1105 samples of delay are 63.5, so 64 frames of 192 bytes, and one that flushing adds.
    assert row.payload_bytes == 65 * 192
    assert row.coded_seconds == pytest.approx(65 * 0.024)
    assert row.kbps == pytest.approx(64)
    assert row.duration == 1.5


def test_stereo_through_a_mono_codec_shows_twice_the_rate_and_a_note(plan):
    mono = as_codec(lambda samples: samples, "mono", sample_rate=48000, kbps=6).system
    audio.write(plan.audio_dir / "music" / "stereo.wav", np.full((2, 4800), 0.1, np.float32), 48000)
    result = runner.run(replace(plan, systems=(mono,), jobs=0))
    rates = result.scores.set_index("file").kbps
    assert (rates["music/stereo.wav"], rates.min()) == (pytest.approx(12), pytest.approx(6))
    assert "mono@6: is mono and codes the channels of stereo one by one, at twice its bit rate" in result.info["notes"]


def test_a_second_run_computes_only_new_systems_and_metrics(plan):
    first = runner.run(plan)
    assert first.computed == 9
    again = runner.run(plan)
    assert again.computed == 0
    pd.testing.assert_frame_equal(again.scores, first.scores)

    stamp = audio_path(plan.run, "opus@12", "speech/a.wav").stat().st_mtime_ns
    assert runner.run(with_systems(plan, "opus@12,opus@6")).computed == 3
    assert runner.run(replace(plan, metrics=("si_snr", "stoi"))).computed == 9
    assert audio_path(plan.run, "opus@12", "speech/a.wav").stat().st_mtime_ns == stamp  # decoded once


def test_a_run_that_changes_nothing_leaves_its_folder_alone(plan, monkeypatch):
    first = runner.run(plan)
    monkeypatch.setattr("earmark.eval.comparison.run_metadata.machine", lambda: "another")
    before = {path: path.stat().st_mtime_ns for path in plan.run.rglob("*")}
    again = runner.run(replace(plan, command="earmark compare, once more"))
    assert (first.changed, again.changed) == (True, False)
    assert again.info == first.info  # the command and the machine that made it
    assert {path: path.stat().st_mtime_ns for path in plan.run.rglob("*")} == before
    assert runner.run(replace(plan, metrics=("si_sdr",))).changed


def test_a_changed_source_is_done_again(plan):
    before = runner.run(plan)
    changed = plan.audio_dir / "speech" / "a.wav"
    audio.write(changed, audio.read(changed).samples[:, ::-1].copy(), 16000)
    after = runner.run(plan)
    assert after.computed == 3

    def value(result: runner.Result) -> float:
        return float(result.scores.query("file == 'speech/a.wav' and system == 'opus@12'").value.iloc[0])

    assert value(after) != value(before)


def test_a_decoded_file_that_was_replaced_or_lost_is_made_again(plan):
    runner.run(plan)
    audio_path(plan.run, "opus@12", "speech/a.wav").unlink()
    audio.write(audio_path(plan.run, "opus@12", "music/b.wav"), np.zeros((1, 7), np.float32), 44100)
    result = runner.run(plan)
    assert result.computed == 2
    assert audio.read(audio_path(plan.run, "opus@12", "music/b.wav")).samples.shape == (2, 66150)


def test_another_format_in_the_same_folder_is_computed_again(plan):
    """RUN/audio has one file per recording and system, so the formats replace each other."""
    own = runner.run(plan).scores
    common = runner.run(replace(plan, format=ReferenceFormat(16000, mono=True))).scores
    assert not own.value.equals(common.value)
    pd.testing.assert_series_equal(runner.run(plan).scores.value, own.value)


def test_two_jobs_give_the_same_table_as_one(plan, tmp_path):
    timings = ["encode_seconds", "decode_seconds"]
    two = runner.run(plan).scores.drop(columns=timings)
    one = runner.run(replace(plan, run=tmp_path / "one", jobs=1)).scores.drop(columns=timings)
    pd.testing.assert_frame_equal(one, two)


def test_the_run_metadata(plan):
    runner.run(plan)
    info = read_info(plan.run)
    assert info["machine"] == machine()
    assert info["systems"] == ["reference", "opus@12", "anchor@3.5k"]
    assert info["speech_categories"] == ["speech"]
    assert info["versions"]["opus@12"].startswith("libopus")
    assert {"numpy", "soxr", "python"} <= set(info["versions"])
    recording = next(entry for entry in info["recordings"] if entry["file"] == "music/b.wav")
    assert recording["channels"] == 2
    assert len(recording["sha256"]) == 64


def put_bad_files(folder: Path) -> dict[str, str]:
    """One of each type of unusable file, and the message for it."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (48000, 1))
    (folder / "text.wav").write_text("this is not audio")
    soundfile.write(folder / "cut.wav", noise, 48000)
    whole = (folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    noise[7] = np.nan
    soundfile.write(folder / "nan.wav", noise, 48000, subtype="FLOAT")
    soundfile.write(folder / "surround.wav", np.zeros((4800, 6)), 48000)
    return {
        "text.wav": "not readable as audio", "cut.wav": "truncated", "nan.wav": "1 NaN or infinite samples",
        "surround.wav": "6 channels",
    }  # fmt: skip


def test_bad_files_are_one_line_each_and_do_not_affect_the_others(plan):
    good = runner.run(plan).scores
    expected = put_bad_files(plan.audio_dir)
    result = runner.run(plan)
    assert len(result.failures) == len(expected)
    for name, reason in expected.items():
        line = next(line for line in result.failures if name in line)
        assert reason in line
        assert "\n" not in line
    broken = result.scores[result.scores.file.isin(expected)]
    assert (broken.status == "error").all()
    assert broken.value.isna().all()
    kept = result.scores[~result.scores.file.isin(expected)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, good)


def test_silence_and_a_clip_of_5_ms_are_undefined_but_no_failure(plan):
    audio.write(plan.audio_dir / "music" / "silence.wav", np.zeros((1, 48000), np.float32), 48000)
    audio.write(plan.audio_dir / "music" / "click.wav", np.full((1, 240), 0.1, np.float32), 48000)
    every = replace(with_systems(plan, "opus@12"), metrics=("si_snr", "visqol", "pesq", "stoi"))
    result = runner.run(every)
    assert result.failures == []
    cells = result.scores.set_index(["file", "metric"])
    for metric in every.metrics:
        assert cells.loc[("music/silence.wav", metric), "status"] == "undefined"
    for metric in ("visqol", "pesq", "stoi"):
        assert cells.loc[("music/click.wav", metric), "status"] == "undefined"
        assert cells.loc[("music/click.wav", metric), "reason"]


def test_a_high_rate_recording_is_noted(plan):
    audio.write(plan.audio_dir / "music" / "high.wav", np.full((1, 19200), 0.1, np.float32), 192000)
    result = runner.run(plan)
    assert any("music/high.wav: scored at 48 kHz instead of 192 kHz" in note for note in result.info["notes"])


def test_unknown_metrics_and_empty_folders_are_refused_before_any_work(plan, tmp_path):
    with pytest.raises(UserError, match="there is no metric 'mos'"):
        runner.run(replace(plan, metrics=("mos",)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no recordings in it"):
        runner.run(replace(plan, audio_dir=tmp_path / "empty"))
    assert not plan.run.exists()


def test_results_in_the_folder_of_recordings_are_refused(plan):
    with pytest.raises(UserError, match=r"--out .*audio: has the recordings; name another folder, e\.g\. .*audio/run"):
        runner.run(replace(plan, run=plan.audio_dir))


def test_a_machine_with_another_version_of_a_codec_is_refused(corpus_dir, tmp_path):
    source = find(corpus_dir)[0]
    task = Task(
        tmp_path, source, sha256(source.path), ReferenceFormat(), parse("mp3@64"), "LAME3.90", {"si_snr": "si_snr"}
    )
    assert re.fullmatch(
        r"mp3@64: LAME3\.\d+ where the run has LAME3\.90; install the same on every machine, or run again .*",
        attempt(task),
    )
    assert not task.audio_path.exists()


def test_the_same_recording_under_two_names_has_two_records(plan):
    copy = plan.audio_dir / "speech" / "copy.wav"
    copy.write_bytes((plan.audio_dir / "speech" / "a.wav").read_bytes())
    runner.run(plan)
    assert runner.run(plan).computed == 0


def test_a_copied_run_is_not_computed_again(plan, tmp_path):
    """Although cp -r gives every file a new time."""
    runner.run(plan)
    shutil.copytree(plan.run, tmp_path / "copy", copy_function=shutil.copyfile)
    assert runner.run(replace(plan, run=tmp_path / "copy")).computed == 0


def test_a_decoded_file_of_the_same_size_but_other_samples_is_made_again(plan):
    runner.run(plan)
    path = audio_path(plan.run, "opus@12", "music/c.wav")
    decoded = audio.read(path)
    audio.write(path, 0.5 * decoded.samples, decoded.sample_rate)
    assert runner.run(plan).computed == 1


@pytest.mark.parametrize(
    ("file", "stored"),
    [("a.wav", "a.wav"), ("a.ogg", "a.ogg.wav"), ("a.ogg.wav", "a.ogg.wav.wav"), ("b/a.WAV", "b/a.WAV")],
)
def test_decoded_files_have_names_of_their_own(file, stored):
    assert audio_path(Path("run"), "opus@6", file) == Path("run/audio/opus@6") / stored


def test_a_run_names_the_version_of_every_library(plan):
    """All dependencies in pyproject.toml that compute scores."""
    versions = runner.run(plan).info["versions"]
    assert {"python", "torch", "pyloudnorm", "pystoi", "av", "soxr", "safetensors", "pyarrow"} <= versions.keys()
