"""The lock of a folder: refused while another process holds it, free once that process is gone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from earmark.codec.errors import UserError, WriteError
from earmark.codec.lock import locked

HOLDER = """
import sys, pathlib, earmark.codec.lock as lock
with lock.locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_refused_at_once_and_ends_with_its_process(tmp_path):
    folder = tmp_path / "new" / "folder"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=r"folder: another process is writing there; wait until it is done$"):
            locked(folder).__enter__()
        holder.kill()
        holder.wait()
    with locked(folder):
        pass


def test_a_lock_is_free_after_an_error_inside(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    with locked(tmp_path), pytest.raises(UserError, match="another process is writing there"):
        locked(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"file.inside: cannot be written: .*[Dd]irectory"):
        locked(tmp_path / "file" / "inside").__enter__()
