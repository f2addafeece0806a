"""Finding the recordings of a folder, their categories, and the format in which they are scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison.corpus import ReferenceFormat, Source, find, is_speech, load


def put(path: Path, rate: int = 16000, channels: int = 1, seconds: float = 0.1) -> Path:
    audio.write(path, np.full((channels, round(rate * seconds)), 0.1, np.float32), rate)
    return path


def test_sub_folders_or_prefixes_of_file_names_are_categories(tmp_path):
    folder = tmp_path / "clips"
    for name in (
        "speech/deep/a.wav",
        "Music/b.WAV",
        "speech_libri.wav",
        "sound-rain.wav",
        "other.wav",
        "all/c.wav",
        "macro/c.wav",
    ):
        put(folder / name)
    (folder / "README.txt").write_text("not audio")
    put(folder / ".hidden" / "d.wav")
    found = {source.file: source.category for source in find(folder)}
    assert found == {
        "speech/deep/a.wav": "speech",
        "Music/b.WAV": "Music",
        "speech_libri.wav": "speech",
        "sound-rain.wav": "sound",
        "other.wav": "clips",
        "all/c.wav": "all_",  # "all" is the mean over all files
        "macro/c.wav": "macro_",  # "macro" is the average over the categories
    }


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no audio here")
    with pytest.raises(UserError, match=f"{tmp_path}: no recordings in it"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("category", "speech"),
    [
        ("speech", True),
        ("Clean_Speech", True),
        ("voices", True),
        ("music", False),
        ("mixed", False),
        ("LibriSpeech", True),
        ("libritts_test", True),
        ("VCTK-Corpus", True),
        ("daps", True),
        ("dns_challenge", True),
        ("Common Voice", True),
        ("dialogue", True),
        ("TED talks", True),
        ("podcasts", True),
        ("LJSpeech-1.1", True),
        ("sounds", False),
        ("equilibrium", False),
        ("instruments", False),
        ("fsd50k", False),
        ("musdb18", False),
    ],
)
def test_speech_categories_by_pattern(category, speech):
    assert is_speech(category) is speech


def test_given_patterns_replace_the_default():
    assert is_speech("dialogue", ("dialogue",))
    assert not is_speech("speech", ("dialogue",))


def source(path: Path) -> Source:
    return Source(path.name, path, "any")


def test_a_recording_keeps_its_own_format(tmp_path):
    recording, note = load(source(put(tmp_path / "a.wav", 22050, 2)), ReferenceFormat())
    assert (recording.sample_rate, recording.channels, note) == (22050, 2, None)


@pytest.mark.parametrize("rate", [96000, 192000])
def test_rates_above_48_khz_are_scored_at_48_khz_with_a_note(tmp_path, rate):
    recording, note = load(source(put(tmp_path / "high.wav", rate)), ReferenceFormat())
    assert recording.sample_rate == 48000
    assert recording.samples.shape == (1, 4800)
    assert note is not None
    assert f"high.wav: scored at 48 kHz instead of {rate // 1000} kHz" in note


def test_a_common_format_can_be_set(tmp_path):
    recording, note = load(source(put(tmp_path / "a.wav", 44100, 2)), ReferenceFormat(24000, mono=True))
    assert (recording.sample_rate, recording.channels, note) == (24000, 1, None)


def test_results_inside_the_folder_are_skipped_and_links_are_followed(tmp_path):
    put(tmp_path / "elsewhere" / "a.wav")
    folder = tmp_path / "clips"
    put(folder / "run" / "audio" / "b.wav")
    (folder / "speech").symlink_to(tmp_path / "elsewhere")
    (folder / "speech" / "loop").symlink_to(folder)
    assert [source.file for source in find(folder, leave_out=folder / "run")] == ["speech/a.wav"]


def test_runs_among_the_recordings_are_skipped(tmp_path):
    put(tmp_path / "speech" / "a.wav")
    put(tmp_path / "earlier" / "audio" / "opus@12" / "speech" / "a.wav")
    (tmp_path / "earlier" / "run.json").write_text("{}")
    assert [source.file for source in find(tmp_path)] == ["speech/a.wav"]
