"""Building a study from a run."""

from __future__ import annotations

import json
import shutil
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
from earmark.mushra_app.building.build import Request, build, choice, listeners_needed
from earmark.mushra_app.building.estimate import estimate
from earmark.mushra_app.database.store import open_store
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.study.study import Condition, Item, Stimulus, Study

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
def build_request(run: Path, tmp_path: Path) -> Request:
    return Request(run, tmp_path / "study", per_category=2)


def test_stimuli_keep_what_the_run_knows_of_their_alignment(run, build_request):
    """Runs of earlier versions know nothing; a recording that drifts may be late in an excerpt."""
    assert not any(one.aligned for item in build(build_request).study.items for one in item.stimuli.values())
    scores = pd.read_parquet(run / "scores.parquet").assign(delay=22.0, marks="")
    scores.loc[scores["system"] == "mp3@64", "marks"] = "drift (+50 ppm); gain (+6.0 dB)"
    scores.to_parquet(run / "scores.parquet")
    study = build(replace(build_request, force=True)).study
    for item in study.items:
        assert item.stimuli["opus@12"].aligned
        assert not item.stimuli["mp3@64"].aligned
    assert studies.load(build_request.out).items == study.items


def test_items_conditions_and_skipped_recordings(build_request):
    built = build(build_request)
    study = built.study
    assert {condition.name: condition.role for condition in study.conditions} == {
        "reference": "hidden reference", "anchor@3.5k": "low anchor", "opus@12": "system", "mp3@64": "system",
    }  # fmt: skip
    # speech: one excerpt of each recording; music: only c.flac is long enough and decoded by both.
    assert sorted((item.category, item.file) for item in study.items) == [
        ("music", "music/c.flac"), ("speech", "speech/a.wav"), ("speech", "speech/b.wav"),
    ]  # fmt: skip
    assert any("music/broken.wav: skipped" in note for note in built.notes)
    assert any("music: 1 item instead of 2" in note for note in built.notes)
    assert study.trials_per_listener == 3
    assert listeners_needed(study) == 10
    assert studies.load(build_request.out) == study


def test_stimuli_of_an_item_differ_only_by_the_coding(build_request):
    study = build(build_request).study
    for item in study.items:
        assert set(item.stimuli) == {condition.name for condition in study.conditions}
        formats = set()
        for stimulus in item.stimuli.values():
            path = build_request.out / "audio" / stimulus.audio
            header = soundfile.info(path)
            formats.add((header.frames, header.samplerate, header.channels, header.subtype, path.stat().st_size))
            measured = loudness(audio.read(path).samples, 48000)
            assert measured == pytest.approx(stimulus.loudness, abs=0.1)
            assert measured == pytest.approx(-23, abs=0.1)
        assert len(formats) == 1
        assert next(iter(formats))[:4] == (round(item.seconds * 48000), 48000, 1, "PCM_16")
        # The systems are the source at half and at twice the amplitude, so their gains differ by 12.04 dB.
        difference = item.stimuli["opus@12"].gain_db - item.stimuli["mp3@64"].gain_db
        assert difference == pytest.approx(20 * np.log10(4), abs=0.05)


def test_the_hidden_reference_is_the_excerpt_named_in_the_item(build_request):
    study = build(build_request).study
    for item in study.items:
        source = audio.read(audio_path(build_request.run, "reference", item.file)).samples
        start = round(item.start * RATE)
        expected = audio.resample(source[:, start : start + round(item.seconds * RATE)], RATE, 48000)
        stimulus = item.stimuli["reference"]
        written = audio.read(build_request.out / "audio" / stimulus.audio).samples
        inner = slice(480, -480)  # inside the 10 ms fades
        np.testing.assert_allclose(
            written[:, inner], expected[:, inner] * 10 ** (stimulus.gain_db / 20), atol=1 / 32768 + 1e-4
        )
        assert np.abs(written[:, [0, -1]]).max() < 1e-3  # so that a loop has no click


def test_a_silent_recording_is_skipped_with_a_note(build_request):
    path = audio_path(build_request.run, "reference", "speech/b.wav")
    audio.write(path, 0 * audio.read(path).samples, RATE)
    built = build(build_request)
    assert "speech/b.wav: skipped, because it is silent" in built.notes
    assert {item.file for item in built.study.items} == {"speech/a.wav", "music/c.flac"}


def test_the_estimate_of_sessions_hours_and_cost():
    """200 items, 10 ratings, 12 trials: 2000 / 12 / 0.9 = 185.2, so 186 sessions.

    A trial plays 9 conditions and the open reference, of 5 s, twice: 100 s; 12 trials take 20 minutes, with the other
    pages 23, and 186 sessions 71.3 hours. At 12.00 per hour a session costs 4.60 and all 855.60; with a third more
    1140.80.
    """
    conditions = tuple(Condition(f"c{number}", "system") for number in range(9))
    stimuli = {one.name: Stimulus("x.wav", 0.0, -23.0) for one in conditions}
    items = tuple(Item(f"i{number}", "music", "x.wav", 0.0, 5.0, stimuli) for number in range(200))
    line = estimate(Study("test", 48_000, 10, 12, conditions, items, {}), 12.0)
    assert line == (
        "186 sessions of about 23 minutes, 71.3 hours, if screening drops 10 %; at 12.00 per hour 855.60, with the fee "
        "of Prolific 1140.80"
    )


@pytest.mark.parametrize(("options", "rate", "subtype"), [
    ({}, 44_100, "PCM_16"), ({"rate": 48_000, "bits": 24, "levels": "keep", "anchor": False}, 48_000, "PCM_24"),
])  # fmt: skip
def test_a_run_at_44100_hz_keeps_its_rate_unless_another_is_wanted(build_request, options, rate, subtype):
    for number, file in enumerate(FILES):
        for name in ("reference", "opus@12", "mp3@64"):
            path = audio_path(build_request.run, name, file)
            if path.exists():
                signal = 0.1 * np.random.default_rng(number).standard_normal((1, round(FILES[file] * 44_100)))
                audio.write(path, signal.astype(np.float32) * (2 if name == "opus@12" else 1), 44_100)
    study = build(replace(build_request, **options)).study
    assert study.sample_rate == rate
    assert (study.condition("low anchor") is None) == ("anchor" in options)
    for item in study.items:
        for stimulus in item.stimuli.values():
            written = soundfile.info(build_request.out / "audio" / stimulus.audio)
            assert (written.samplerate, written.subtype) == (rate, subtype)
        louder = item.stimuli["opus@12"].loudness - item.stimuli["reference"].loudness
        assert louder == pytest.approx(6.02 if "levels" in options else 0, abs=0.05)  # 20 lg 2


def test_file_names_do_not_reveal_the_condition(build_request):
    study = build(build_request).study
    names = [stimulus.audio for item in study.items for stimulus in item.stimuli.values()]
    assert len(set(names)) == len(names)
    for name in names:
        assert not any(word in name for word in ("opus", "mp3", "ref", "anchor", "speech", "music"))


def test_the_same_seed_builds_the_same_study(build_request, tmp_path):
    first = build(build_request).study
    second = build(replace(build_request, out=tmp_path / "again")).study
    assert first.items == second.items
    for name in (stimulus.audio for item in first.items for stimulus in item.stimuli.values()):
        assert (build_request.out / "audio" / name).read_bytes() == (tmp_path / "again" / "audio" / name).read_bytes()
    assert build(replace(build_request, out=tmp_path / "other", seed=1)).study.items != first.items


def test_the_mid_anchor_is_added_by_its_option(build_request):
    conditions = build(replace(build_request, mid_anchor=True)).study.conditions
    assert [(condition.name, condition.role) for condition in conditions][2] == ("anchor@7k", "mid anchor")


def test_a_choice_of_systems(build_request):
    conditions = build(replace(build_request, systems=("mp3@64",))).study.conditions
    assert [condition.name for condition in conditions] == ["reference", "anchor@3.5k", "mp3@64"]
    with pytest.raises(UserError, match=r"--systems: opus@6 is not in .*which has opus@12, mp3@64"):
        build(replace(build_request, systems=("opus@6",)))


def test_a_system_that_decoded_nothing_is_named(build_request):
    """For example one that could not run on the machine of the comparison."""
    scores = pd.read_parquet(build_request.run / "scores.parquet")
    scores.loc[scores.system == "mp3@64", "duration"] = np.nan
    scores.to_parquet(build_request.run / "scores.parquet")
    with pytest.raises(UserError, match=r"--systems: mp3@64 decoded no recording of .*list the systems without it"):
        build(build_request)
    assert build(replace(build_request, systems=("opus@12",))).study.items


def test_a_study_with_listeners_is_not_overwritten(build_request):
    open_store(build(build_request).study, build_request.out).enrol("ada")
    with pytest.raises(UserError, match="has listeners already"):
        build(build_request)


def test_a_study_without_listeners_may_be_built_again_and_keeps_its_settings(build_request):
    """Serving creates the database, which then belongs to the first build."""
    store = open_store(build(build_request).study, build_request.out)
    store.crowd = Crowd(anonymous=False)
    with pytest.raises(UserError, match="holds a study; add --force to replace it"):
        build(replace(build_request, seed=1))
    study = build(replace(build_request, seed=1, force=True)).study
    again = open_store(study, build_request.out)
    assert not again.crowd.anonymous
    again.enrol("ada")
    with pytest.raises(UserError, match="another study or an earlier build"):
        open_store(replace(study, items=study.items[:1]), build_request.out)


def test_a_choice_writes_nothing(build_request):
    conditions, chosen, notes = choice(build_request)
    assert not build_request.out.exists()
    study = build(build_request).study
    assert tuple(conditions) == study.conditions
    assert [(category, excerpt.file) for category, excerpt in chosen] == [
        (item.category, item.file) for item in study.items
    ]
    assert any("skipped" in note for note in notes)


def test_a_file_that_is_not_a_database_is_not_overwritten(build_request):
    build(build_request)
    (build_request.out / "ratings.sqlite").write_text("not a database " * 100)
    with pytest.raises(UserError, match=r"ratings\.sqlite: the database cannot be used"):
        build(replace(build_request, force=True))


def test_a_run_without_its_audio_is_refused_by_name_and_one_recording_without_it_is_skipped(build_request):
    missing = audio_path(build_request.run, "reference", "speech/a.wav")
    missing.unlink()
    notes = choice(build_request)[2]
    assert any(note.startswith("speech/a.wav: skipped, because its reference is missing in") for note in notes)
    shutil.rmtree(build_request.run / "audio")
    with pytest.raises(UserError, match=r"run: its audio is missing \(.*audio\); copy the folder of the run with it"):
        choice(build_request)


def test_a_folder_that_is_not_a_run(tmp_path, build_request):
    with pytest.raises(UserError, match=r"no run\.json in it"):
        build(replace(build_request, run=tmp_path))


def test_a_folder_of_recordings_is_not_mistaken_for_an_earlier_study(build_request):
    own = build_request.out / "audio" / "own.wav"
    audio.write(own, np.zeros((1, 100), np.float32), RATE)
    with pytest.raises(UserError, match="has a folder audio that belongs to no study"):
        build(build_request)
    assert own.exists()


def test_building_again_deletes_the_earlier_stimuli_and_no_other_file(build_request):
    build(build_request)
    own = build_request.out / "audio" / "own.wav"
    audio.write(own, np.zeros((1, 100), np.float32), RATE)
    study = build(replace(build_request, seed=1, per_category=1, force=True)).study
    expected = {stimulus.audio for item in study.items for stimulus in item.stimuli.values()}
    assert {path.name for path in (build_request.out / "audio").iterdir()} == expected | {"own.wav"}
    assert own.exists()


def test_a_study_from_elsewhere_cannot_name_a_file_to_delete(build_request: Request, tmp_path: Path):
    """The second build removes the audio that the first one named; a forged study.json names a stranger's file."""
    build(build_request)
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    path = build_request.out / "study.json"
    data = json.loads(path.read_text())
    data["items"][0]["stimuli"]["opus@12"]["audio"] = "../../thesis.txt"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"names “\.\./\.\./thesis\.txt”, which is not a path inside"):
        build(replace(build_request, force=True))
    assert victim.read_text() == "years of work"


def test_a_linked_audio_folder_is_not_emptied(build_request: Request, tmp_path: Path):
    build(build_request)
    (build_request.out / "audio").rename(tmp_path / "elsewhere")
    (build_request.out / "audio").symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in (tmp_path / "elsewhere").iterdir())
    with pytest.raises(UserError, match="names “audio”, which is not a path inside"):
        build(replace(build_request, seed=1, force=True))
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == before


def test_a_run_from_elsewhere_cannot_name_audio_outside_it(build_request: Request, tmp_path: Path):
    """run.json names a recording of the user's: it would be copied into the study and played to strangers."""
    audio.write(tmp_path / "private.wav", np.ones((1, 5 * RATE), np.float32) * 0.1, RATE)
    scores = pd.read_parquet(build_request.run / "scores.parquet")
    scores["file"] = scores["file"].replace("speech/a.wav", "../../../private.wav")
    scores.to_parquet(build_request.run / "scores.parquet")
    info = build_request.run / "run.json"
    info.write_text(info.read_text().replace("speech/a.wav", "../../../private.wav"))
    with pytest.raises(UserError, match=r"run\.json: names “reference/\.\./\.\./\.\./private\.wav”"):
        build(build_request)
