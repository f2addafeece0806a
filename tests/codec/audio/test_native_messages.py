"""Standard error of native code, silenced during a block and restored after it."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from earmark.baselines.systems import family_of, parse
from earmark.codec.audio import read
from earmark.codec.audio.native_messages import silenced
from earmark.codec.errors import UserError


def test_only_messages_inside_the_block_are_lost(capfd):
    os.write(2, b"before ")
    with silenced():
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_silence_ends_with_the_last_of_several_threads(capfd):
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with silenced():
            inside.set()
            leave.wait(10)

    with silenced():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
    os.write(2, b"still silent")
    leave.set()
    thread.join()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_silence_ends_with_an_error(capfd):
    with pytest.raises(ZeroDivisionError), silenced():
        raise ZeroDivisionError
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_a_damaged_mp3_is_one_error_and_no_notes(tmp_path, capfd):
    """Without `silenced`, libmpg123 reports an illegal header, its search for the next one, and the bytes skipped."""
    system = parse("mp3@64")
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 44100)).astype(np.float32)
    stream = b"".join(family_of(system).open(system, 44100, 1).encode(noise).packets)
    (tmp_path / "hole.mp3").write_bytes(stream[:3000] + bytes(900) + stream[3900:])
    with pytest.raises(UserError, match=r"hole\.mp3: truncated"):
        read(tmp_path / "hole.mp3")
    assert capfd.readouterr().err == ""
