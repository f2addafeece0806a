"""Corpus files: folders, categories and excerpts, drawn by a seed."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.systems import parse_list
from codec import audio
from codec.errors import UserError
from eval import corpus, runner
from eval.corpus import SPEECH_PATTERNS, ReferenceFormat
from eval.corpus_file import read_corpus

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
    """Six recordings of 4 s and two songs of 1 s; returns the function that writes a corpus file beside them."""
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


def test_the_seed_decides_and_other_folders_do_not(write_corpus):
    first = read_corpus(write_corpus(TWO))
    assert read_corpus(write_corpus(TWO)) == first
    alone = read_corpus(write_corpus(TWO.partition('[[folders]]\npath = "songs"')[0]))
    assert alone == first[:3]
    assert read_corpus(write_corpus(TWO.replace("seed = 7", "seed = 8")))[:3] != first[:3]


def test_an_excerpt_is_that_part_of_the_recording(write_corpus):
    source = read_corpus(write_corpus(TWO))[0]
    whole = audio.read(source.path).samples
    heard, _ = corpus.load(source, ReferenceFormat())
    first = round(source.excerpt[0] * 8000)
    np.testing.assert_array_equal(heard.samples, whole[:, first : first + 12000])


def test_a_run_of_a_corpus_file_notes_the_excerpts_and_knows_them_again(write_corpus, tmp_path):
    def plan(text):
        return runner.Plan(
            audio_dir=write_corpus(text), systems=tuple(parse_list("anchor@3.5k")), metrics=("si_sdr",),
            run=tmp_path / "run", form=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
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
        ("count = 3", "cuont = 3", "folder 1: cuont is unknown; there are path, category"),
        ("count = 3", "count = 0", "folder 1: count = 0 is not possible"),
        ('"music"', '"all"', "folder 2: category must be a name without a slash, and not `all`"),
        ('path = "songs"', 'path = "sons"', "folder 2: .*sons is no folder"),
        ('path = "songs"', 'path = "books"\ncategory = "clean speech"\npattern = "x"', "no corpus file"),
        ("seed = 7", "seeds = 7", "write a whole number `seed` and"),
        ('path = "books"', "", "folder 1: needs `path` and `category`"),
    ],
)
def test_mistakes_name_their_place(write_corpus, old, new, says):
    with pytest.raises(UserError, match=says):
        read_corpus(write_corpus(TWO.replace(old, new)))
