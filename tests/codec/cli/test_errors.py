"""Mistakes, damaged files, interrupts and full disks in `earmark encode`, `decode` and `inspect`."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.codec import audio
from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints

from ...forks import started
from .command_line import SMALL, assert_one_line, noise, save_model, wav


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.wav", "out.wav"], "out.wav: codes go to a file that ends in .ecdc"),
        (["-", "out.ecdc", "--format", "reference"], "--container reference: needs the length first"),
        (["in.wav", "out.ecdc", "--kbps", "7"], "--kbps 7: these weights of encodec_24khz have 1.5, 3, 6, 12, 24 kbps"),
        (["in.wav", "out.ecdc", "--lm"], "--lm: the language model for --checkpoint is not known"),
        (["in.wav", "out.ecdc", "--model", "encodec_16khz"], "--model"),
        (["in.wav", "out.ecdc", "--model", "encodec_48khz"], "is a checkpoint of encodec_24khz"),
        (["nowhere.wav", "out.ecdc"], "'nowhere.wav' does not exist"),
        (["text.wav", "out.ecdc"], "text.wav: not readable as audio"),
        (["cut.wav", "out.ecdc"], "cut.wav: truncated"),
        (["cut.flac", "out.ecdc"], "cut.flac: "),
        (["none.wav", "out.ecdc"], "none.wav: no samples in it"),
        (["one.wav", "out.ecdc"], "one.wav: no samples in it at 24000 Hz"),
        (["nan.wav", "out.ecdc"], "nan.wav: 100 NaN or infinite samples"),
        (["surround.wav", "out.ecdc"], "surround.wav: 6 channels"),
        (["-", "out.ecdc"], "not a WAV; a pipe must carry WAV"),
    ],
)
def test_a_wrong_encode_is_one_line_and_leaves_nothing(earmark, weights, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    wav(Path("in.wav"), noise(100), 24000)
    Path("text.wav").write_text("not audio")
    for name in ("cut.wav", "cut.flac"):
        whole = wav(Path(name), noise(200000), 24000).read_bytes()
        Path(name).write_bytes(whole[: len(whole) // 2])
    wav(Path("none.wav"), noise(0), 24000)
    wav(Path("one.wav"), noise(1), 48000)  # half a sample at 24 kHz
    soundfile.write("nan.wav", np.full(100, np.nan), 24000, subtype="FLOAT")
    wav(Path("surround.wav"), noise(100, 6), 24000)
    before = set(tmp_path.iterdir())
    done = earmark("encode", *arguments, "--checkpoint", weights["encodec_24khz"], stdin=b"not audio")
    assert_one_line(done, says)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.ecdc", "out.mp3"], "out.mp3: audio goes to a file that ends in .wav, .flac, .ogg"),
        (["nowhere.ecdc", "out.wav"], "'nowhere.ecdc' does not exist"),
        (["text.ecdc", "out.wav"], "text.ecdc: not an .ecdc file"),
        (["cut.ecdc", "out.wav"], "cut.ecdc: truncated"),
        (["empty.ecdc", "out.wav"], "empty.ecdc: damaged: no chunk of it is left"),
        (["a.ecdc", "out.wav", "--checkpoint", "other.safetensors"], "a.ecdc: encoded by the weights "),
        (["a.ecdc", "out.wav", "--checkpoint", "48.safetensors"], "a.ecdc: codes of the model 'encodec_24khz', which"),
        (["a.ecdc", "out.wav", "--checkpoint", "nowhere"], "nowhere: no such file"),
        (["a.ecdc", "out.wav", "--checkpoint", "a.ecdc"], "a.ecdc: not readable as a checkpoint"),
    ],
)
def test_a_wrong_decode_is_one_line_and_leaves_nothing(earmark, weights, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    given = ("--checkpoint", weights["encodec_24khz"])
    wav(Path("in.wav"), noise(24000), 24000)
    assert earmark("encode", "in.wav", "a.ecdc", *given).status == 0
    assert earmark("encode", "in.wav", "public.ecdc", *given, "--format", "reference").status == 0
    Path("cut.ecdc").write_bytes(Path("public.ecdc").read_bytes()[:-10])
    data = Path("a.ecdc").read_bytes()
    Path("empty.ecdc").write_bytes(data[: data.index(b"\xec\xdc")])
    Path("text.ecdc").write_text("no codes")
    save_model(SMALL["encodec_24khz"], Path("other.safetensors"), seed=1)
    Path("48.safetensors").symlink_to(weights["encodec_48khz"])
    before = set(tmp_path.iterdir())
    done = earmark("decode", *given, *arguments)
    assert_one_line(done, says)
    assert set(tmp_path.iterdir()) == before


def test_a_rate_that_the_weights_lack_is_one_line_with_the_remedy(earmark, tmp_path):
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    done = earmark("encode", source, tmp_path / "a.ecdc", "--kbps", 24)
    assert_one_line(done, "have 1.5, 3, 6, 12 kbps; the official ones have more, by --checkpoint official")


def test_a_damaged_file_is_decoded_around_the_damage(earmark, weights, tmp_path):
    """Chunks of 2 s; one byte of the second is wrong, so that 2 to 4 s are silent except for fades of 5 ms."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source, coded = wav(tmp_path / "in.wav", noise(7 * 24000), 24000), tmp_path / "a.ecdc"
    assert earmark("encode", source, coded, *given).status == 0
    assert earmark("decode", coded, tmp_path / "whole.wav", *given).status == 0
    assert earmark("inspect", coded).status == 0
    data = bytearray(coded.read_bytes())
    data[data.index(b"\xec\xdc") + 12 + 1500 + 100] ^= 1
    coded.write_bytes(data)
    done = earmark("decode", coded, tmp_path / "a.wav", *given)
    assert done.status == 1
    damage = [line for line in done.stderr.splitlines() if line.startswith("damaged: ")]
    assert f"damaged: {coded}: chunk 1 is damaged or missing: 2.00 to 4.00 s" in damage
    got, whole = (audio.read(tmp_path / name).samples[0] for name in ("a.wav", "whole.wav"))
    assert got.shape == whole.shape
    np.testing.assert_array_equal(got[:48000], whole[:48000])
    assert not got[48120:96000].any()
    assert got[96120:].any()

    inspected = earmark("inspect", coded)
    assert inspected.status == 1
    facts = json.loads(inspected.stdout)
    assert (facts["chunks"], facts["chunks_lost"], facts["codes_sha256"]) == (4, 1, None)


def test_inspect_prints_json(earmark, weights, tmp_path):
    source, coded = wav(tmp_path / "in.wav", noise(48000), 24000), tmp_path / "a.ecdc"
    assert earmark("encode", source, coded, "--checkpoint", weights["encodec_24khz"], "--kbps", 3).status == 0
    done = earmark("inspect", coded)
    assert (done.status, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    model = checkpoints.load(weights["encodec_24khz"])
    codes = model.encode(audio.read(source).samples, 3).segments[0].codes[0]
    assert facts["model"] == "encodec_24khz"
    assert facts["model_identity"] == identities.codes_identity(model)[:16]
    assert (facts["weights"], facts["weights_licence"]) == (None, None)  # weights that nobody knows
    assert (facts["samples"], facts["seconds"], facts["kbps"], facts["codebooks"]) == (48000, 2.0, 3.0, 4)
    assert facts["codes_sha256"] == hashlib.sha256(codes.T.numpy().astype("<u2").tobytes()).hexdigest()
    assert_one_line(earmark("inspect", source), "not an .ecdc file")


def test_an_interrupt_leaves_no_partial_file(weights, tmp_path):
    """The process ends while it waits for more audio, with some codes written to the temporary file."""
    out = tmp_path / "out"
    arguments = ("encode", "-", out / "a.ecdc", "--checkpoint", weights["encodec_24khz"])
    file = io.BytesIO()
    soundfile.write(file, noise(5 * 24000)[0], 24000, subtype="PCM_16", format="WAV")
    with started(*arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(file.getvalue()[:-1000])
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size > 1000 for part in out.glob(".*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [*out.glob(".a.ecdc.*.part")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        assert b"interrupted" in process.stderr.read()
    assert [*out.iterdir()] == []


def test_a_full_disk_is_one_line_and_leaves_nothing(earmark, weights, tmp_path):
    """A file size limit of 64 KiB simulates the full disk."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(100000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    before = set(tmp_path.iterdir())
    for target in ("a.wav", "-"):
        with (tmp_path / "pipe").open("wb") as file:
            decode = started(
                "decode", tmp_path / "a.ecdc", tmp_path / target if target != "-" else target, *given,
                stdout=file, stderr=subprocess.PIPE, text=True,
                before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
            )  # fmt: skip
            said = decode.communicate(timeout=120)[1]
        (tmp_path / "pipe").unlink()
        assert decode.returncode == 2
        assert f"{target}: cannot be written" in said
        assert said.count("\n") == 1
        assert set(tmp_path.iterdir()) == before
