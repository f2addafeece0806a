"""Hashes of recordings: computed once, and again if a file may have changed."""

from __future__ import annotations

import hashlib
import os

import pytest

from earmark.codec.errors import UserError
from earmark.eval.comparison import digests
from earmark.eval.comparison.digests import Digests


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files that were read."""
    read = []
    real = digests.sha256
    monkeypatch.setattr(digests, "sha256", lambda path: read.append(path.name) or real(path))
    return read


def test_a_file_is_read_once_and_by_the_next_run_not_at_all(tmp_path, hashed):
    path = tmp_path / "a.wav"
    path.write_bytes(b"abc")
    first = Digests(tmp_path / "run")
    assert first.of(path) == first.of(path) == hashlib.sha256(b"abc").hexdigest()
    first.save()
    assert Digests(tmp_path / "run").of(path) == first.of(path)
    assert hashed == ["a.wav"]


def test_a_changed_file_is_read_again_even_if_size_and_time_are_restored(tmp_path, hashed):
    path = tmp_path / "a.wav"
    path.write_bytes(b"abc")
    before = path.stat()
    first = Digests(tmp_path / "run")
    first.of(path)
    first.save()
    path.write_bytes(b"xyz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Digests(tmp_path / "run").of(path) == hashlib.sha256(b"xyz").hexdigest()
    assert hashed == ["a.wav", "a.wav"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"a": 1}', "\x00"])
def test_a_damaged_file_of_digests_is_ignored(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(b"abc")
    (tmp_path / "digests.json").write_text(content)
    assert Digests(tmp_path).of(path) == hashlib.sha256(b"abc").hexdigest()


def test_without_news_nothing_is_written(tmp_path):
    Digests(tmp_path / "run").save()
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_lost_is_an_error(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        Digests(tmp_path).of(tmp_path / "lost.wav")
