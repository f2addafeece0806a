"""Standard error of native code, silenced for a block and as it was behind it."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from earmark.baselines.systems import family_of, parse
from earmark.codec.audio import read
from earmark.codec.audio.native_messages import silenced
from earmark.codec.errors import UserError


def test_only_what_is_written_inside_is_lost(capfd):
    os.write(2, b"before ")
    with silenced():
        os.write(2, b"inside ")
    os.write(2, b"behind")
    assert capfd.readouterr().err == "before behind"


def test_it_ends_with_the_last_of_several_threads(capfd):
    inside, go_on = threading.Event(), threading.Event()

    def other() -> None:
        with silenced():
            inside.set()
            go_on.wait(10)

    with silenced():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
    os.write(2, b"still silent")
    go_on.set()
    thread.join()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_it_ends_with_an_error_too(capfd):
    with pytest.raises(ZeroDivisionError), silenced():
        raise ZeroDivisionError
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_a_damaged_mp3_is_one_error_and_no_notes(tmp_path, capfd):
    """Without `silenced` libmpg123 notes an illegal header, its search for the next one, and the bytes skipped."""
    system = parse("mp3@64")
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 44100)).astype(np.float32)
    stream = b"".join(family_of(system).open(system, 44100, 1).encode(noise).packets)
    (tmp_path / "hole.mp3").write_bytes(stream[:3000] + bytes(900) + stream[3900:])
    with pytest.raises(UserError, match=r"hole\.mp3: truncated"):
        read(tmp_path / "hole.mp3")
    assert capfd.readouterr().err == ""
