"""A study cut from a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import audio_path
from earmark.eval.levels import loudness
from earmark.mushra_app.building.build import Request, build, listeners_needed
from earmark.mushra_app.database.store import open_store
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.crowd import Crowd

RATE = 16000
FILES = {
    "speech/a.wav": 12.0,
    "speech/b.wav": 3.0,
    "music/c.flac": 7.0,
    "music/short.wav": 1.0,
    "music/broken.wav": 6.0,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two systems, one of which failed on one recording."""
    folder = tmp_path / "run"
    rows, recordings = [], []
    for number, (file, seconds) in enumerate(FILES.items()):
        source = 0.1 * np.random.default_rng(number).standard_normal((1, round(seconds * RATE))).astype(np.float32)
        audio.write(audio_path(folder, "reference", file), source, RATE)
        for system, gain in (("opus@12", 0.5), ("mp3@64", 2.0)):
            failed = file == "music/broken.wav" and system == "mp3@64"
            if not failed:
                audio.write(audio_path(folder, system, file), source * np.float32(gain), RATE)
            rows.append({"file": file, "system": system, "duration": np.nan if failed else seconds})
        recordings.append({"file": file, "category": file.split("/")[0], "error": None})
    pd.DataFrame(rows).to_parquet(folder / "scores.parquet")
    info = {
        "command": "earmark compare", "created": "2026-01-01", "earmark": "0.1.0", "versions": {"opus@12": "libopus"},
        "systems": ["opus@12", "mp3@64"], "recordings": recordings,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info))
    return folder


@pytest.fixture
def asked(run: Path, tmp_path: Path) -> Request:
    return Request(
        run, tmp_path / "study", (), per_category=2, seconds=5.0, annotations=10, trials=None, mid_anchor=False, seed=0
    )


def test_items_conditions_and_what_was_left_out(asked):
    built = build(asked)
    study = built.study
    assert {condition.name: condition.role for condition in study.conditions} == {
        "reference": "hidden reference", "anchor@3.5k": "low anchor", "opus@12": "system", "mp3@64": "system",
    }  # fmt: skip
    # speech: one excerpt of each recording; music: only c.flac is long enough and decoded by both.
    assert sorted((item.category, item.file) for item in study.items) == [
        ("music", "music/c.flac"), ("speech", "speech/a.wav"), ("speech", "speech/b.wav"),
    ]  # fmt: skip
    assert any("music/broken.wav: left out" in note for note in built.notes)
    assert any("music: 1 item instead of 2" in note for note in built.notes)
    assert study.trials_per_listener == 3
    assert listeners_needed(study) == 10
    assert studies.load(asked.out) == study


def test_stimuli_are_equal_in_all_but_the_coding(asked):
    study = build(asked).study
    for item in study.items:
        assert set(item.stimuli) == {condition.name for condition in study.conditions}
        forms = set()
        for stimulus in item.stimuli.values():
            path = asked.out / "audio" / stimulus.audio
            header = soundfile.info(path)
            forms.add((header.frames, header.samplerate, header.channels, header.subtype, path.stat().st_size))
            measured = loudness(audio.read(path).samples, 48000)
            assert measured == pytest.approx(stimulus.loudness, abs=0.1)
            assert measured == pytest.approx(-23, abs=0.1)
        assert len(forms) == 1
        assert next(iter(forms))[:4] == (round(item.seconds * 48000), 48000, 1, "PCM_16")
        # The systems are the source at half and at twice the level, so their gains are 12.04 dB apart.
        apart = item.stimuli["opus@12"].gain_db - item.stimuli["mp3@64"].gain_db
        assert apart == pytest.approx(20 * np.log10(4), abs=0.05)


def test_the_hidden_reference_is_the_excerpt_that_is_named(asked):
    study = build(asked).study
    for item in study.items:
        source = audio.read(audio_path(asked.run, "reference", item.file)).samples
        start = round(item.start * RATE)
        wanted = audio.resample(source[:, start : start + round(item.seconds * RATE)], RATE, 48000)
        stimulus = item.stimuli["reference"]
        got = audio.read(asked.out / "audio" / stimulus.audio).samples
        inner = slice(480, -480)  # inside the 10 ms fades
        np.testing.assert_allclose(
            got[:, inner], wanted[:, inner] * 10 ** (stimulus.gain_db / 20), atol=1 / 32768 + 1e-4
        )
        assert np.abs(got[:, [0, -1]]).max() < 1e-3  # a loop has no step at its seam


def test_file_names_tell_nothing(asked):
    study = build(asked).study
    names = [stimulus.audio for item in study.items for stimulus in item.stimuli.values()]
    assert len(set(names)) == len(names)
    for name in names:
        assert not any(word in name for word in ("opus", "mp3", "ref", "anchor", "speech", "music"))


def test_the_same_seed_builds_the_same_study(asked, tmp_path):
    first = build(asked).study
    second = build(replace(asked, out=tmp_path / "again")).study
    assert first.items == second.items
    for name in (stimulus.audio for item in first.items for stimulus in item.stimuli.values()):
        assert (asked.out / "audio" / name).read_bytes() == (tmp_path / "again" / "audio" / name).read_bytes()
    assert build(replace(asked, out=tmp_path / "other", seed=1)).study.items != first.items


def test_the_mid_anchor_comes_on_request(asked):
    conditions = build(replace(asked, mid_anchor=True)).study.conditions
    assert [(condition.name, condition.role) for condition in conditions][2] == ("anchor@7k", "mid anchor")


def test_a_choice_of_systems(asked):
    conditions = build(replace(asked, systems=("mp3@64",))).study.conditions
    assert [condition.name for condition in conditions] == ["reference", "anchor@3.5k", "mp3@64"]
    with pytest.raises(UserError, match=r"--systems: opus@6 is not in .*which has opus@12, mp3@64"):
        build(replace(asked, systems=("opus@6",)))


def test_a_system_that_decoded_nothing_is_named(asked):
    """One that could not run on the machine of the comparison."""
    scores = pd.read_parquet(asked.run / "scores.parquet")
    scores.loc[scores.system == "mp3@64", "duration"] = np.nan
    scores.to_parquet(asked.run / "scores.parquet")
    with pytest.raises(UserError, match=r"--systems: mp3@64 decoded none of .*name the systems of the test without it"):
        build(asked)
    assert build(replace(asked, systems=("opus@12",))).study.items


def test_a_study_with_listeners_is_not_overwritten(asked):
    open_store(build(asked).study, asked.out).enrol("ada")
    with pytest.raises(UserError, match="has listeners already"):
        build(asked)


def test_a_study_that_was_only_served_may_be_built_again_and_keeps_its_settings(asked):
    """The server's start makes the database, whose study the second build is not."""
    store = open_store(build(asked).study, asked.out)
    store.crowd = Crowd(anonymous=False)
    study = build(replace(asked, seed=1)).study
    again = open_store(study, asked.out)
    assert not again.crowd.anonymous
    again.enrol("ada")
    with pytest.raises(UserError, match="another study or an earlier build"):
        open_store(replace(study, items=study.items[:1]), asked.out)


def test_a_file_that_is_no_database_is_not_overwritten(asked):
    build(asked)
    (asked.out / "ratings.sqlite").write_text("not a database " * 100)
    with pytest.raises(UserError, match=r"ratings\.sqlite: the database cannot be used"):
        build(asked)


def test_a_folder_that_is_no_run(tmp_path, asked):
    with pytest.raises(UserError, match=r"no run\.json in it"):
        build(replace(asked, run=tmp_path))


def test_a_folder_of_recordings_is_not_taken_for_an_earlier_study(asked):
    mine = asked.out / "audio" / "mine.wav"
    audio.write(mine, np.zeros((1, 100), np.float32), RATE)
    with pytest.raises(UserError, match="has a folder audio that belongs to no study"):
        build(asked)
    assert mine.exists()


def test_building_again_leaves_no_stimulus_of_the_first_and_touches_nothing_else(asked):
    build(asked)
    mine = asked.out / "audio" / "mine.wav"
    audio.write(mine, np.zeros((1, 100), np.float32), RATE)
    study = build(replace(asked, seed=1, per_category=1)).study
    wanted = {stimulus.audio for item in study.items for stimulus in item.stimuli.values()}
    assert {path.name for path in (asked.out / "audio").iterdir()} == wanted | {"mine.wav"}
    assert mine.exists()
