"""Files that are written completely or not at all; pipes and links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading

import pytest

from earmark.codec.files import write_text, written_whole
from earmark.codec.leftovers import temporary_name


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


def test_leftovers_of_killed_processes_go_at_the_next_write(tmp_path):
    """Those of running processes and of other machines stay; after a day without a write nobody needs them."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    machine = temporary_name("a").removeprefix(".a.").partition("-")[0]
    names = (
        f".killed.{machine}-{gone.pid}.part", f".running.{machine}-{os.getppid()}.part",
        f".other.{'0' * 8}-{gone.pid}.part", ".old.00000000-7.part",
        f".earlier.{gone.pid}.part", ".my.part", "a.1.part",
    )  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    os.utime(tmp_path / ".old.00000000-7.part", (0, 0))
    write_text(tmp_path / "a.txt", "text")
    assert {path.name for path in tmp_path.iterdir()} == {*names, "a.txt"} - {names[0], names[3]}


def test_a_long_name_gets_a_shorter_temporary_one(tmp_path):
    """File systems allow 255 bytes."""
    name = 80 * "ü€"
    write_text(tmp_path / name[:100], "text")
    assert [path.name for path in tmp_path.iterdir()] == [name[:100]]
    assert len(os.fsencode(temporary_name(name))) < 255
