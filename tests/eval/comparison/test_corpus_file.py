"""Corpus files: folders, categories and excerpts, drawn by a seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.codec.datasets.layouts import LAYOUTS
from earmark.codec.errors import UserError
from earmark.eval.comparison import corpus, runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.corpus_file import read_corpus

RECIPES = Path(__file__).parents[3] / "docs" / "corpora"
TWO = """
seed = 7
[[folders]]
path = "books"
category = "clean speech"
count = 3
seconds = 1.5
[[folders]]
path = "songs"
category = "music"
"""


@pytest.fixture
def write_corpus(tmp_path):
    """Six recordings of 4 s and two songs of 1 s; returns a function that writes a corpus file next to them."""
    for index in range(6):
        ramp = np.linspace(0.1, 0.9, 32000, dtype=np.float32)[None] * (-1) ** np.arange(32000)
        audio.write(tmp_path / "books" / f"{index}.wav", ramp.astype(np.float32), 8000)
    for index in range(2):
        noise = np.random.default_rng(index).uniform(-0.5, 0.5, (1, 16000)).astype(np.float32)
        audio.write(tmp_path / "songs" / "album" / f"{index}.wav", noise, 16000)

    def write(text):
        (tmp_path / "corpus.toml").write_text(text)
        return tmp_path / "corpus.toml"

    return write


def test_names_categories_and_excerpts(write_corpus):
    sources = read_corpus(write_corpus(TWO))
    assert [source.category for source in sources] == ["clean speech"] * 3 + ["music"] * 2
    assert [source.file for source in sources[3:]] == ["music/album/0.wav", "music/album/1.wav"]
    assert sources[3].excerpt is None
    for source in sources[:3]:
        start, seconds = source.excerpt
        assert 0 <= start <= 2.5
        assert seconds == 1.5


def test_hidden_files_and_results_are_skipped(write_corpus, tmp_path):
    """macOS writes "._0.wav" next to "0.wav" on disks of other systems."""
    first = read_corpus(write_corpus(TWO))
    for name in ("._0.wav", ".trash/6.wav", "run/audio/opus@12/6.wav", "earlier/audio/opus@12/6.wav"):
        touch(tmp_path / "books" / name)
    touch(tmp_path / "books" / "earlier" / "run.json")
    assert read_corpus(write_corpus(TWO), leave_out=tmp_path / "books" / "run") == first


def test_the_choice_depends_on_the_seed_but_not_on_other_folders(write_corpus):
    first = read_corpus(write_corpus(TWO))
    assert read_corpus(write_corpus(TWO)) == first
    alone = read_corpus(write_corpus(TWO.partition('[[folders]]\npath = "songs"')[0]))
    assert alone == first[:3]
    assert read_corpus(write_corpus(TWO.replace("seed = 7", "seed = 8")))[:3] != first[:3]


def test_an_excerpt_is_a_part_of_the_recording(write_corpus):
    source = read_corpus(write_corpus(TWO))[0]
    whole = audio.read(source.path).samples
    heard, _ = corpus.load(source, ReferenceFormat())
    first = round(source.excerpt[0] * 8000)
    np.testing.assert_array_equal(heard.samples, whole[:, first : first + 12000])


def test_a_run_of_a_corpus_file_records_the_excerpts_and_reuses_results(write_corpus, tmp_path):
    def plan(text):
        return runner.Plan(
            audio_dir=write_corpus(text), systems=tuple(parse_list("anchor@3.5k")), metrics=("si_sdr",),
            run=tmp_path / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
        )  # fmt: skip

    first = runner.run(plan(TWO))
    assert first.failures == []
    assert set(first.scores["category"]) == {"clean speech", "music"}
    assert first.info["recordings"][0]["seconds"] == 1.5
    assert len(first.info["recordings"][0]["excerpt"]) == 2
    assert runner.run(plan(TWO)).computed == 0
    assert runner.run(plan(TWO.replace("seconds = 1.5", "seconds = 1.6"))).computed == 3


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("count = 3", "count = 7", r"folder 1: .*books has 6 recordings that fit, not 7"),
        ("count = 3", "cuont = 3", "folder 1: cuont is unknown; there are path, layout"),
        ("count = 3", "count = 0", "folder 1: count = 0 is not possible"),
        ('"music"', '"all"', "folder 2: category must be a name without a slash, and not `all` or `macro`"),
        ('path = "songs"', 'path = "sons"', "folder 2: .*sons is not a folder"),
        ('path = "songs"', 'path = "books"\ncategory = "clean speech"\npattern = "x"', "no corpus file"),
        ("seed = 7", "seeds = 7", "write a whole number `seed` and"),
        ('path = "books"', "", "folder 1: needs `path` and `category`"),
    ],
)
def test_mistakes_name_the_folder(write_corpus, old, new, says):
    with pytest.raises(UserError, match=says):
        read_corpus(write_corpus(TWO.replace(old, new)))


NOISY = """
seed = 7
[[folders]]
path = "books"
category = "noisy speech"
count = 4
seconds = 1.5
[folders.add]
path = "songs"
snr_db = [6]
"""


def test_a_recording_is_mixed_in_at_the_given_level(write_corpus):
    """The sum minus the speech has 6 dB less energy than the speech; the sum stays within full scale."""
    source = read_corpus(write_corpus(NOISY))[0]
    assert source.added.snr_db == 6
    clean, _ = corpus.load(replace(source, added=None), ReferenceFormat())
    noisy, _ = corpus.load(source, ReferenceFormat())
    s, y = clean.samples[0].astype(np.float64), noisy.samples[0].astype(np.float64)
    sound = audio.read(source.added.path)
    noise = audio.resample(sound.samples[:, round(source.added.start * 16000) :], 16000, 8000)[0]
    noise = np.tile(noise, -(-s.size // noise.size))[: s.size].astype(np.float64)
    (a, b), *_ = np.linalg.lstsq(np.stack([s, noise], axis=1), y, rcond=None)
    np.testing.assert_allclose(a * s + b * noise, y, atol=1e-5)
    assert 10 * np.log10((a * a * s @ s) / (b * b * noise @ noise)) == pytest.approx(6, abs=0.01)
    assert np.abs(y).max() <= 1


def test_the_same_corpus_file_mixes_the_same_recordings(write_corpus):
    first = read_corpus(write_corpus(NOISY))
    assert read_corpus(write_corpus(NOISY)) == first
    assert read_corpus(write_corpus(NOISY.replace("seed = 7", "seed = 8"))) != first


def test_another_level_or_added_file_is_computed_again(write_corpus, tmp_path):
    def computed(text):
        plan = runner.Plan(
            audio_dir=write_corpus(text), systems=tuple(parse_list("anchor@3.5k")), metrics=("si_sdr",),
            run=tmp_path / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
        )  # fmt: skip
        result = runner.run(plan)
        assert result.failures == []
        assert result.info["recordings"][0]["added"].keys() == {"sha256", "start", "snr_db"}
        return result.computed

    assert computed(NOISY) == 4
    assert computed(NOISY) == 0
    assert computed(NOISY.replace("[6]", "[3]")) == 4
    for song in (tmp_path / "songs").rglob("*.wav"):
        audio.write(song, audio.read(song).samples[:, ::-1].copy(), 16000)
    assert computed(NOISY.replace("[6]", "[3]")) == 4


def test_silence_cannot_be_mixed_in(write_corpus):
    source = read_corpus(write_corpus(NOISY))[0]
    audio.write(source.added.path, np.zeros((1, 16000), np.float32), 16000)
    with pytest.raises(UserError, match=r"cannot be mixed in at 6 dB: it or the recording is silent"):
        corpus.load(source, ReferenceFormat())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("snr_db = [6]", "", "folder 1: add: needs `path` and `snr_db`"),
        ("snr_db = [6]", 'snr_db = ["6"]', "folder 1: add: needs `path` and `snr_db`, a list of ratios"),
        ("snr_db = [6]", "snr_db = [6]\ncount = 3", "folder 1: add: count is unknown; there are path, layout"),
        ('path = "songs"', 'path = "sons"', "folder 1: add: .*sons is not a folder"),
        ("count = 4", 'layout = "dns5"', "folder 1: layout dns5 is unknown; there are dns4"),
        ("count = 4", 'layout = "dns4"', "books: no folder clean_fullband"),
        ("count = 4", 'split = "test"', "folder 1: split: only a layout has splits"),
        ("count = 4", 'layout = "dns4"\nsplit = "exam"', "folder 1: split = 'exam' is not possible"),
    ],
)
def test_mistakes_in_mixing_and_layouts_name_the_folder(write_corpus, old, new, says):
    with pytest.raises(UserError, match=says):
        read_corpus(write_corpus(NOISY.replace(old, new)))


def test_the_papers_four_categories(tmp_path):
    """docs/corpora/paper.toml on the data sets' folders takes only the test part of each."""
    for index in range(8000):  # 1 % of them are test recordings
        touch(tmp_path / "dns4" / "clean_fullband" / f"book_{index}.wav")
    for index in range(150):
        touch(tmp_path / "fsd50k" / "FSD50K.dev_audio" / f"{index}.wav")
        touch(tmp_path / "fsd50k" / "FSD50K.eval_audio" / f"{index + 1000}.wav")
        touch(tmp_path / "own" / f"{index}.flac")
    rows = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH"]
    for track in range(5000):
        rows.append(f"track_{track}\tartist_{track}\talbum_1\t{track % 100:02d}/{track}.mp3")
        touch(tmp_path / "jamendo" / f"{track % 100:02d}" / f"{track}.mp3")
    (tmp_path / "jamendo" / "raw_30s.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "paper.toml").write_text((RECIPES / "paper.toml").read_text())
    sources = read_corpus(tmp_path / "paper.toml")
    assert Counter(source.category for source in sources) == dict.fromkeys(
        ("clean speech", "noisy speech", "jamendo", "own music"), 50
    )
    for source in sources:
        assert (source.added is not None) == (source.category == "noisy speech")
        if source.added is not None:
            assert source.added.path.parent.name == "FSD50K.eval_audio"
            assert source.added.snr_db in (0, 5, 10, 15)


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_needs_only_its_data_set(recipe, tmp_path):
    """All keys and values are valid, so that the only error is the missing folder."""
    (tmp_path / "corpus.toml").write_text(recipe.read_text())
    with pytest.raises(UserError, match=r"folder 1: \S+ is not a folder"):
        read_corpus(tmp_path / "corpus.toml")


def test_every_layout_has_a_recipe():
    assert set(LAYOUTS) == {path.stem for path in RECIPES.glob("*.toml")} - {"paper"}


def test_the_recipe_of_daps_takes_the_test_speakers(tmp_path):
    """20 speakers and 5 scripts: the recipe takes all ten recordings of the two test speakers."""
    speakers = [f"{letter}{number}" for letter in "fm" for number in range(1, 11)]
    for speaker in speakers:
        for script in range(1, 6):
            touch(tmp_path / "daps" / "clean" / f"{speaker}_script{script}_clean.wav")
    (tmp_path / "daps.toml").write_text((RECIPES / "daps.toml").read_text())
    sources = read_corpus(tmp_path / "daps.toml")
    assert {source.category for source in sources} == {"speech"}
    assert len(sources) == 10
    assert len({source.path.name.partition("_")[0] for source in sources}) == 2


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
