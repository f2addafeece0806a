"""Comparing two runs, or refusing to with a reason."""

from __future__ import annotations

import copy
import csv
import io
import json

import pandas as pd
import pytest

from earmark.baselines.systems import parse_list
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.comparability import joined, reasons
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat


def info():
    recordings = [
        {"file": f"music/{name}.wav", "category": "music", "sha256": name * 64, "error": None} for name in "abcde"
    ]
    return {
        "recordings": recordings, "sample_rate": None, "mono": False, "speech_categories": [],
        "metric_versions": {"stoi": "pystoi 0.4.1", "si_snr": "1"}, "created": "2026", "command": "earmark compare",
    }  # fmt: skip


def changed(change):
    other = copy.deepcopy(info())
    change(other)
    return reasons(info(), other)


def test_a_repeated_run_is_comparable():
    assert changed(lambda other: other.update(created="2027", command="another")) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda other: other["recordings"].pop(), ["only the first has music/e.wav"]),
        (
            lambda other: other["recordings"].__delitem__(slice(0, 4)),
            ["only the first has music/a.wav, music/b.wav, music/c.wav and 1 more"],
        ),
        (lambda other: other["recordings"].append({"file": "x"}), ["only the second has x"]),
        (lambda other: other["recordings"][1].update(sha256="0"), ["music/b.wav has another content"]),
        (
            lambda other: [entry.update(excerpt=[1.0, 5.0]) for entry in other["recordings"][:2]],
            ["music/a.wav, music/b.wav have another excerpt"],
        ),
        (lambda other: other.update(sample_rate=16000), ["sample rate: each recording's own against 16000 Hz"]),
        (lambda other: other.update(mono=True), ["channels averaged: no against yes"]),
        (lambda other: other.update(speech_categories=["music"]), ["different categories are scored as speech"]),
        (
            lambda other: other.update(metric_versions={"stoi": "pystoi 9", "pesq": "pesq 1"}),
            ["stoi by pystoi 0.4.1 against pystoi 9"],
        ),
    ],
)
def test_differences_are_named(change, says):
    assert changed(change) == says


@pytest.fixture
def two_runs(corpus_dir, tmp_path):
    """The same recordings by Opus at 6 and 12 kbps, and by Opus at 12 kbps and MP3."""
    for name, systems in (("first", "opus@6,opus@12"), ("second", "opus@12,mp3@64")):
        runner.run(runner.Plan(
            audio_dir=corpus_dir, systems=tuple(parse_list(systems)), metrics=("si_snr",), run=tmp_path / name,
            format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
        ))  # fmt: skip
    return tmp_path / "first", tmp_path / "second"


def test_systems_of_two_runs_are_compared_pair_by_pair(two_runs, earmark):
    both = joined(*two_runs)
    assert list(both["system"].unique()) == ["opus@6", "opus@12", "opus@12 (second)", "mp3@64"]
    done = earmark("differences", two_runs[0], "--with", two_runs[1], "--format", "csv")
    assert done.returncode == 0, done.stderr
    (same,) = (
        row for row in csv.DictReader(io.StringIO(done.stdout))
        if (row["category"], row["a"], row["b"]) == ("all", "opus@12", "opus@12 (second)")
    )  # fmt: skip
    assert float(same["mean"]) == 0.0
    path = two_runs[1] / "scores.parquet"
    scores = pd.read_parquet(path)
    scores[scores["system"] == "mp3@64"].to_parquet(path)
    alone = earmark("differences", two_runs[1])
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "has one system, and nothing to compare it with; add another run by --with" in alone.stderr
    only = earmark("differences", two_runs[0], "--bjontegaard", "--format", "csv")
    assert only.returncode == 2
    assert "--bjontegaard needs two codecs with two bit rates each" in only.stderr


def test_runs_of_different_recordings_are_refused_with_the_reason(two_runs, earmark):
    path = two_runs[1] / "run.json"
    content = json.loads(path.read_text())
    content["recordings"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"second: not comparable with .*first: music/b.wav has another content$"):
        joined(*two_runs)
    done = earmark("differences", two_runs[0], "--with", two_runs[1])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
