"""Recordings and results at fsspec URLs: file:// for a store that all workers see, memory:// for any other store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.remote_paths import is_remote, local_copy, path_or_url
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat, find
from earmark.eval.comparison.corpus_file import read_corpus
from earmark.eval.comparison.run_folder import read_info, read_scores

pytest.importorskip("upath")
MEASURED = ["encode_seconds", "decode_seconds"]


@pytest.fixture
def store(corpus_dir):
    """The small corpus at a memory:// URL."""
    root = path_or_url("memory://corpus")
    for path in corpus_dir.rglob("*.wav"):
        target = root / path.relative_to(corpus_dir).as_posix()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    yield root
    root.fs.store.clear()


def test_a_path_stays_a_path():
    assert path_or_url("a/b.wav") == Path("a/b.wav")
    assert not is_remote(path_or_url("/a"))
    assert is_remote(path_or_url("file:///a"))


def test_recordings_are_found_and_categorised(store, corpus_dir):
    found, local = find(store), find(corpus_dir)
    assert [(source.file, source.category) for source in found] == [(source.file, source.category) for source in local]
    with local_copy(found[0].path) as copy:
        np.testing.assert_array_equal(audio.read(copy).samples, audio.read(local[0].path).samples)
    assert not copy.exists()


def test_an_error_names_the_url(store):
    (store / "music" / "text.wav").write_text("not audio")
    with (
        pytest.raises(UserError, match=r"^memory://corpus/music/text.wav: not readable"),
        local_copy(store / "music" / "text.wav") as copy,
    ):
        audio.read(copy)


def test_a_text_is_written(store):
    write_text(store / "new" / "a.txt", "ä")
    assert (store / "new" / "a.txt").read_text(encoding="utf-8") == "ä"


def test_a_run_from_and_to_a_url_has_the_table_of_a_local_one(corpus_dir, tmp_path, earmark):
    local = runner.run(runner.Plan(
        audio_dir=corpus_dir, systems=tuple(parse_list("opus@12,anchor@3.5k")), metrics=("si_snr",),
        run=tmp_path / "local", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
    ))  # fmt: skip
    arguments = (
        "compare", corpus_dir.as_uri(), "--systems", "opus@12,anchor@3.5k", "--metrics", "si_snr", "--jobs", "2",
        "--out", (tmp_path / "remote").as_uri(), "--link-audio",
    )  # fmt: skip
    done = earmark(*arguments)
    assert done.returncode == 0, done.stderr
    found = read_scores(tmp_path / "remote")
    pd.testing.assert_frame_equal(found.drop(columns=MEASURED), local.scores.drop(columns=MEASURED))
    assert read_info(tmp_path / "remote")["recordings"] == local.info["recordings"]
    assert (tmp_path / "remote" / "report.html").exists()
    assert list((tmp_path / "remote" / "excerpts").glob("*.flac"))
    assert ": 0 computed, " in earmark(*arguments).stdout
    table = earmark("tables", (tmp_path / "remote").as_uri(), "--format", "csv")
    assert table.stdout.startswith("system,category,metric,n")
    both = earmark("differences", tmp_path / "local", "--with", (tmp_path / "remote").as_uri(), "--format", "csv")
    assert "opus@12 (remote)" in both.stdout, both.stderr


def test_a_corpus_file_takes_urls(store, tmp_path):
    (tmp_path / "corpus.toml").write_text(
        '[[folders]]\npath = "memory://corpus/music"\ncategory = "music"\nseconds = 0.5\n'
    )
    sources = read_corpus(tmp_path / "corpus.toml")
    assert [source.file for source in sources] == ["music/b.wav", "music/c.wav"]
    assert all(0 < source.excerpt[0] < 1.0 for source in sources)
    assert json.dumps([source.excerpt for source in sources])


@pytest.mark.parametrize("url", ["nosuchkind://a/b", "s3:/"])
def test_a_url_that_cannot_be_opened_is_one_line(url, earmark, tmp_path):
    done = earmark("compare", url, "--systems", "opus@12", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_runs_among_recordings_at_a_url_are_skipped(corpus_dir):
    for run in ("ours", "earlier"):
        shutil.copytree(corpus_dir / "music", corpus_dir / run / "audio" / "opus@12")
    (corpus_dir / "earlier" / "run.json").write_text("{}")
    url = path_or_url(corpus_dir.as_uri())
    found = [source.file for source in find(url, leave_out=url / "ours")]
    assert found == ["music/b.wav", "music/c.wav", "speech/a.wav"]
