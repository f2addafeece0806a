"""No file of a folder is skipped silently: types, links, unreadable folders, odd names, copies, changes."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.eval.comparison import corpus, runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat, find
from earmark.eval.comparison.listing import listed
from earmark.eval.comparison.run_folder import audio_path

NOISE = (0.1 * np.random.default_rng(0).standard_normal((1, 4000))).astype(np.float32)


def put(path: Path, scale: float = 1.0) -> Path:
    audio.write(path, scale * NOISE, 16000)
    return path


@pytest.fixture
def plan(tmp_path: Path) -> runner.Plan:
    return runner.Plan(
        audio_dir=tmp_path / "clips", systems=tuple(parse_list("anchor@3.5k")), metrics=("si_snr",),
        run=tmp_path / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=0, command="earmark compare",
    )  # fmt: skip


def test_other_files_are_counted_by_suffix(tmp_path):
    put(tmp_path / "a" / "one.wav")
    for name in ("a/one.txt", "two.TXT", "a/meta.json", "README"):
        (tmp_path / name).write_text("no audio")
    (tmp_path / "dead.wav").symlink_to("nowhere.wav")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / ".hidden.txt").write_text("hidden")
    listing = listed(tmp_path)
    assert [path.name for path in listing.audio] == ["one.wav"]
    assert listing.skipped == {".txt": 2, "broken link": 2, ".json": 1, "": 1}
    assert listing.notes == [f"{tmp_path}: 6 files skipped: .txt 2, broken link 2, without suffix 1, .json 1"]


def test_a_link_to_a_folder_renames_no_category(tmp_path):
    """Under a_link ViSQOL would hear speech in its audio mode."""
    put(tmp_path / "speech" / "deep" / "one.wav")
    (tmp_path / "a_link").symlink_to("speech")
    (tmp_path / "speech" / "b_link").symlink_to("deep")
    (tmp_path / "c_link").symlink_to(".")
    assert [(source.file, source.category) for source in find(tmp_path)] == [("speech/deep/one.wav", "speech")]
    assert listed(tmp_path).notes == [
        f"{tmp_path}: links to folders that are read under their own names: a_link, c_link, b_link"
    ]


def test_a_link_to_a_folder_that_has_no_other_name_is_followed(tmp_path):
    """As data sets lie whose files are kept in a hidden folder, or elsewhere."""
    put(tmp_path / "clips" / ".store" / "one.wav")
    put(tmp_path / "elsewhere" / "two.wav")
    (tmp_path / "clips" / "music").symlink_to(".store")
    (tmp_path / "clips" / "speech").symlink_to("../elsewhere")
    assert [source.file for source in find(tmp_path / "clips")] == ["music/one.wav", "speech/two.wav"]


def test_a_folder_that_cannot_be_read_is_a_failure(plan, monkeypatch):
    put(plan.audio_dir / "music" / "one.wav")
    put(plan.audio_dir / "speech" / "two.wav")
    scandir = os.scandir

    def refuse(folder: Path):
        if Path(folder).name == "speech":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("earmark.eval.comparison.listing.os.scandir", refuse)
    result = runner.run(plan)
    assert result.failures == [f"{plan.audio_dir / 'speech'}: Permission denied; its recordings are missing"]
    assert set(result.scores.file) == {"music/one.wav"}


@pytest.mark.parametrize("bytes_in_name", [240, 249, 255])
def test_a_long_name_is_a_name(plan, bytes_in_name):
    name = "n" * (bytes_in_name - 4) + ".wav"
    put(plan.audio_dir / "short.wav")
    shutil.copy(plan.audio_dir / "short.wav", plan.audio_dir / name)
    result = runner.run(plan)
    assert dict(zip(result.scores.file, result.scores.status, strict=True)) == {name: "ok", "short.wav": "ok"}
    assert audio_path(plan.run, "reference", name).is_file()
    assert runner.run(plan).computed == 0


def test_long_names_stay_apart(tmp_path):
    """One that is longer than 243 bytes ends in its hash; shorter ones are as they were."""
    names = [f"speech/{'n' * 250}{letter}.flac" for letter in "ab"]
    paths = {audio_path(tmp_path, "mp3@64", name) for name in names}
    assert len(paths) == 2
    assert all(len(path.name) < 243 and path.name.endswith(".wav") for path in paths)
    assert audio_path(tmp_path, "mp3@64", f"{'n' * 239}.wav").name == f"{'n' * 239}.wav"


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode")
def test_names_in_latin_1_are_names_and_stay_apart(plan):
    for number, byte in enumerate((b"\xe8", b"\xe9")):
        put(plan.audio_dir / "one.wav", 1 - 0.1 * number).rename(
            os.fsdecode(os.fsencode(plan.audio_dir) + b"/caf" + byte + b".wav")
        )
    result = runner.run(plan)
    assert dict(zip(result.scores.file, result.scores.status, strict=True)) == {"caf%E8.wav": "ok", "caf%E9.wav": "ok"}


def test_copies_are_noted(plan):
    put(plan.audio_dir / "one.wav")
    put(plan.audio_dir / "other.wav", 0.5)
    shutil.copy(plan.audio_dir / "one.wav", plan.audio_dir / "two.wav")
    assert runner.run(plan).info["notes"] == [
        "recordings of the same content, which count several times: two.wav is one.wav"
    ]


def test_a_file_that_changes_during_the_run_is_noticed(plan, monkeypatch):
    """It changes between two systems, after the run has hashed it."""
    put(plan.audio_dir / "one.wav")
    load = corpus.load
    calls = []

    def change(source, form):
        calls.append(source)
        if len(calls) == 2:
            put(source.path, 0.5)
        return load(source, form)

    monkeypatch.setattr(corpus, "load", change)
    result = runner.run(plan)
    assert result.failures == ["anchor@3.5k: one.wav: changed during the run; run again (one.wav)"]
    monkeypatch.undo()
    assert runner.run(replace(plan, metrics=("si_snr",))).failures == []


def test_a_new_time_alone_is_no_change(plan, monkeypatch):
    path = put(plan.audio_dir / "one.wav")
    load = corpus.load

    def touch(source, form):
        os.utime(path, ns=(1, 1))
        return load(source, form)

    monkeypatch.setattr(corpus, "load", touch)
    assert runner.run(plan).failures == []
