"""The manifest of a small data set has something to validate on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.audio import write
from earmark.codec.datasets import manifest
from earmark.codec.datasets.indexing import Index, with_validation
from earmark.codec.datasets.manifest import Entry

ENTRY = Entry(
    path="a.wav", dataset="d", category="speech", split="train", creator=None, licence="CC0-1.0", seconds=1.0,
    sample_rate=24000, channels=1, fingerprint="5",
)  # fmt: skip


def made(*rows: tuple[str, str, str | None]) -> Index:
    """An index of entries with (fingerprint, split, creator), which are named by their fingerprints."""
    return Index(
        [replace(ENTRY, path=f, fingerprint=f, split=s, creator=c) for f, s, c in rows],  # type: ignore[arg-type]
        [],
    )


@pytest.mark.parametrize(
    ("rows", "moved"),
    [
        ([("2", "train", None), ("1", "train", None), ("3", "test", None)], ("1",)),  # the first by fingerprint
        ([("2", "train", "x"), ("1", "train", "y"), ("3", "train", "y"), ("4", "test", "y")], ("1", "3")),
        ([("2", "train", "y"), ("1", "train", "y")], ("1",)),  # there is no other voice to train on
        ([("2", "train", None), ("1", "train", None), ("3", "valid", None)], ()),
        ([("1", "train", None)], ()),  # nothing would be left to train on
    ],
)
def test_a_recording_moves_to_an_empty_split(rows: list[tuple[str, str, str | None]], moved: tuple[str, ...]):
    index = made(*rows)
    result = with_validation(index)
    assert result.moved == moved
    for before, after in zip(index.entries, result.entries, strict=True):
        assert after.split == ("valid" if before.path in moved else before.split)


def test_the_command_says_what_it_moved(tmp_path: Path):
    """Three files, which a hash of their names puts into the split train."""
    folder = tmp_path / "clips"
    for name in range(3):
        write(folder / f"{name}.wav", np.random.default_rng(name).standard_normal((1, 2400)).astype(np.float32), 24000)
    out = tmp_path / "clips.jsonl"
    command = ["data", "index", str(folder), "--layout", "folder", "--category", "speech", "-o", str(out)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    splits = [entry.split for entry in manifest.read(out)]
    assert "valid" in splits
    assert "train" in splits
    assert ("moved there from train" in done.output) == (splits.count("valid") == 1)
