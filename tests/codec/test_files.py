"""Files that are written completely or not at all; pipes and links."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from earmark.codec.files import write_text, written_whole


def fail_half_way(path):
    with written_whole(path) as aside:
        aside.write_text("half")
        raise KeyError


def test_an_error_leaves_the_earlier_file(tmp_path):
    write_text(tmp_path / "a.txt", "earlier")
    with pytest.raises(KeyError):
        fail_half_way(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_is_kept_and_its_target_is_replaced(tmp_path):
    write_text(tmp_path / "file.txt", "earlier")
    (tmp_path / "link.txt").symlink_to("file.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "file.txt").read_text() == "new"


def test_a_named_pipe_is_written_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", "through")
    reader.join()
    assert received == ["through"]
    assert (tmp_path / "pipe").is_fifo()


def test_file_permissions_follow_the_umask(tmp_path):
    """Even if the library that writes chooses others, as safetensors does, which lets only the owner read."""
    before = os.umask(0o022)
    try:
        with written_whole(tmp_path / "a") as aside:
            aside.unlink()
            os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
