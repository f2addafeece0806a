"""`earmark encode` and `decode` on pipes."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import threading
import time

import numpy as np
import pytest
import soundfile

from earmark.codec import audio
from earmark.codec.encodec.config import PRESETS

from ...forks import started
from .command_line import assert_one_line, command, noise, wav


@pytest.mark.parametrize("name", PRESETS)
def test_pipes_give_the_same_audio_as_files(earmark, weights, tmp_path, name):
    given = ("--checkpoint", weights[name])
    source = wav(tmp_path / "in.wav", noise(100000, 2), 44100)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    assert earmark("decode", tmp_path / "a.ecdc", tmp_path / "a.wav", *given).status == 0
    streamed = source.read_bytes().replace(b"data" + (400000).to_bytes(4, "little"), b"data" + b"\xff" * 4)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    encode = started("encode", "-", "-", *given, stdin=subprocess.PIPE, **pipes)
    decode = started("decode", "-", "-", *given, stdin=encode.stdout, **pipes)
    encode.stdin.write(streamed)
    encode.stdin.close()
    out, err = decode.communicate(timeout=120)
    assert (encode.wait(60), decode.returncode) == (0, 0)
    assert (encode.stderr.read(), err) == (b"", b"")
    assert out[:4] == b"RIFF"
    (tmp_path / "b.wav").write_bytes(out)
    np.testing.assert_array_equal(audio.read(tmp_path / "b.wav").samples, audio.read(tmp_path / "a.wav").samples)


def read_until(file: io.BufferedReader, size: int, seconds: float = 60) -> bytes:
    """Read at least `size` bytes of a pipe that stays open."""
    data, deadline = b"", time.monotonic() + seconds
    while len(data) < size and select.select([file], [], [], max(0, deadline - time.monotonic()))[0]:
        data += os.read(file.fileno(), 1 << 16)
    return data


def test_codes_and_audio_are_written_while_the_input_arrives(weights):
    """Two chunks of 2 s at 6 kbps, 1500 bytes each, are written before the audio of 5 s has ended."""
    given = ("--checkpoint", weights["encodec_24khz"])
    file = io.BytesIO()
    soundfile.write(file, noise(5 * 24000)[0], 24000, subtype="PCM_16", format="WAV")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started("encode", "-", "-", *given, **pipes) as encode:
        encode.stdin.write(file.getvalue()[:-1000])
        encode.stdin.flush()
        coded = read_until(encode.stdout, 3000)
        assert len(coded) >= 3000
        assert encode.poll() is None
        with started("decode", "-", "-", *given, **pipes) as decode:
            decode.stdin.write(coded)
            decode.stdin.flush()
            decoded = read_until(decode.stdout, 2 * 90000)
            assert len(decoded) >= 2 * 90000
            assert decode.poll() is None
            encode.stdin.write(file.getvalue()[-1000:])
            encode.stdin.close()
            decode.stdin.write(encode.stdout.read())
            decode.stdin.close()
            decoded += decode.stdout.read()
    assert (encode.returncode, decode.returncode) == (0, 0)
    assert len(decoded) == 44 + 2 * 5 * 24000


def test_a_named_pipe_is_coded_like_a_file(earmark, weights, tmp_path):
    source, given = wav(tmp_path / "in.wav", noise(24000), 24000), ("--checkpoint", weights["encodec_24khz"])
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(source.read_bytes()))
    writer.start()
    assert earmark("encode", tmp_path / "pipe", tmp_path / "piped.ecdc", *given).status == 0
    writer.join()
    assert earmark("encode", source, tmp_path / "file.ecdc", *given).status == 0
    facts = [json.loads(earmark("inspect", tmp_path / name).stdout) for name in ("piped.ecdc", "file.ecdc")]
    assert facts[0]["codes_sha256"] == facts[1]["codes_sha256"]


def test_a_reader_that_closes_the_pipe_causes_no_traceback(earmark, weights, tmp_path):
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(10 * 24000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    with subprocess.Popen(command("decode", tmp_path / "a.ecdc", "-", *given), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as decode:  # fmt: skip
        decode.stdout.read(10)
        decode.stdout.close()
        assert decode.stderr.read() == b""
    assert decode.returncode != 0


def test_a_closed_pipe_is_not_reported_as_damage(earmark, weights, tmp_path):
    """Status 141, like a program that SIGPIPE ended; 1 would mean that the file is damaged."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source, coded = wav(tmp_path / "in.wav", noise(20 * 24000), 24000), tmp_path / "a.ecdc"
    assert earmark("encode", source, coded, *given).status == 0
    with subprocess.Popen(
        command("decode", coded, "-", *given), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        program.stdout.read(44)
        program.stdout.close()
        assert program.wait() == 141
        assert program.stderr.read() == b""


def test_a_terminal_gets_no_binary(earmark, weights, tmp_path):
    source = wav(tmp_path / "in.wav", noise(100), 24000)
    screen, terminal = pty.openpty()
    with open(screen), open(terminal, "w") as stdout:  # noqa: PTH123  # file descriptors
        done = earmark("encode", source, "-", "--checkpoint", weights["encodec_24khz"], stdout=stdout)
    assert_one_line(done, "-: standard output is a terminal; send it to a file or a pipe")
