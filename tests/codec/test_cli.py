"""`earmark encode`, `decode`, `inspect` and `download` as their users run them, on files and on pipes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import pytest
import soundfile
import torch

import earmark.cli as program
from earmark.codec import audio, cli, ecdc
from earmark.codec.checkpoints import downloads
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS, EncodecConfig
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    name: replace(config, seanet=replace(config.seanet, filters=4, dimension=8, lstm=1))
    for name, config in PRESETS.items()
}


class Done(NamedTuple):
    status: int
    stdout: bytes
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def earmark(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `earmark ARGUMENTS` in this process."""

    def run(*arguments: object, stdin: bytes = b"", stdout: TextIO | None = None) -> Done:
        output, errors = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["earmark", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", stdout or output)
            patch.setattr(sys, "stderr", errors)
            with pytest.raises(SystemExit) as caught:
                program.main()
        return Done(int(caught.value.code or 0), output.buffer.getvalue(), errors.buffer.getvalue().decode())

    return run


def command(*arguments: object) -> list[str]:
    """The same for a process of its own."""
    return [sys.executable, "-m", "earmark", *map(str, arguments)]


def save_model(config: EncodecConfig, path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    model = EncodecModel(config)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.3)
    checkpoints.save(model, path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: save_model(config, folder / f"{name}.safetensors") for name, config in SMALL.items()}


def noise(samples: int, channels: int = 1, level: float = 0.5) -> np.ndarray:
    return np.random.default_rng(0).uniform(-level, level, (channels, samples)).astype(np.float32)


def wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    soundfile.write(path, samples.T, rate, subtype="PCM_16")
    return path


def assert_one_line(done: Done, says: str) -> None:
    assert done.status == 2
    assert done.stdout == b""
    assert done.stderr.startswith("earmark: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


# There and back


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (48000, 2), (44100, 2), (8000, 1)])
def test_a_file_becomes_the_models_codes_and_audio(earmark, weights, tmp_path, name, rate, channels):
    """The same as reading, resampling, mixing, coding and decoding the whole by the Python API."""
    source = wav(tmp_path / "in.wav", noise(30011, channels), rate)
    coded, out = tmp_path / "out.ecdc", tmp_path / "out.wav"
    done = earmark("encode", source, coded, "--checkpoint", weights[name], "--kbps", 12)
    assert done.status == 0, done.stderr
    assert f"{coded}: {30011 / rate:.2f} s at 1" in done.stdout.decode()
    assert earmark("decode", coded, out, "--checkpoint", weights[name]).status == 0

    model = checkpoints.load(weights[name])
    config = model.config
    signal = audio.resample(audio.read(source).samples, rate, config.sample_rate)
    if config.channels == 1:
        signal = signal.mean(axis=0, keepdims=True)
    elif channels == 1:
        signal = np.repeat(signal, 2, axis=0)
    codes = model.encode(signal, 12)
    with coded.open("rb") as file:
        contents = ecdc.read(file)
    assert contents.codes.samples == signal.shape[1]
    same = [float((a.codes == b.codes).float().mean()) for a, b in zip(contents.codes.segments, codes.segments,
                                                                        strict=True)]  # fmt: skip
    assert min(same) > 0.99  # resampling and accelerated layers round differently
    decoded = audio.read(out)
    assert (decoded.sample_rate, decoded.samples.shape) == (config.sample_rate, signal.shape)
    wanted = model.decode(contents.codes)[0].clamp(-1, 1).numpy()
    np.testing.assert_allclose(decoded.samples, wanted, atol=1.1 / 32768)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_the_ending_chooses_the_output(earmark, weights, tmp_path, suffix):
    name = "encodec_48khz"
    source = wav(tmp_path / "in.wav", noise(70000, 2), 48000)
    assert earmark("encode", source, tmp_path / "a.ecdc", "--checkpoint", weights[name]).status == 0
    assert earmark("decode", tmp_path / "a.ecdc", tmp_path / f"a.{suffix}", "--checkpoint", weights[name]).status == 0
    info = soundfile.info(tmp_path / f"a.{suffix}")
    assert (info.format, info.frames, info.samplerate, info.channels) == (suffix.upper(), 70000, 48000, 2)


def test_the_public_format_is_written_and_read(earmark, weights, tmp_path):
    """Its header is JSON: model, length, codebooks, language model."""
    source = wav(tmp_path / "in.wav", noise(12345), 24000)
    coded, given = tmp_path / "a.ecdc", ("--checkpoint", weights["encodec_24khz"])
    assert earmark("encode", source, coded, *given, "--format", "reference", "--kbps", 3).status == 0
    head = coded.read_bytes()
    assert head[:5] == b"ECDC\x00"
    fields = json.loads(head[9 : 9 + int.from_bytes(head[5:9])])
    assert fields == {"m": "encodec_24khz", "al": 12345, "nc": 4, "lm": False}
    assert earmark("decode", coded, tmp_path / "a.wav", *given).status == 0
    assert soundfile.info(tmp_path / "a.wav").frames == 12345


def test_a_model_of_ones_own_shape_and_name(earmark, tmp_path):
    config = replace(SMALL["encodec_24khz"], name="mine", sample_rate=16000, kbps=(2.0, 4.0))
    given = ("--checkpoint", save_model(config, tmp_path / "mine.safetensors"))
    source = wav(tmp_path / "in.wav", noise(8000), 8000)
    for form in ("earmark", "reference"):
        coded, out = tmp_path / f"{form}.ecdc", tmp_path / f"{form}.wav"
        assert earmark("encode", source, coded, *given, "--kbps", 4, "--format", form).status == 0
        assert earmark("decode", coded, out, *given).status == 0
        assert (soundfile.info(out).frames, soundfile.info(out).samplerate) == (16000, 16000)
    unknown = earmark("decode", tmp_path / "earmark.ecdc", tmp_path / "b.wav")
    assert_one_line(unknown, "codes of the model 'mine'; give its weights by --checkpoint")


def test_the_weights_of_the_package_are_taken_unless_others_are_named(earmark, tmp_path):
    source, coded = wav(tmp_path / "in.wav", noise(2400), 24000), tmp_path / "a.ecdc"
    assert earmark("encode", source, coded).status == 0
    facts = json.loads(earmark("inspect", coded).stdout)
    ours = checkpoints.identity(checkpoints.load(downloads.bundled("encodec_24khz")))
    assert ours.startswith(facts["model_identity"])
    assert earmark("decode", coded, tmp_path / "a.wav").status == 0

    plain = json.loads(earmark("inspect", coded).stdout)
    assert earmark("encode", source, coded, "--lm").status == 0
    shorter = json.loads(earmark("inspect", coded).stdout)
    assert shorter["codes_sha256"] == plain["codes_sha256"]
    assert earmark("decode", coded, tmp_path / "b.wav").status == 0


def test_the_official_checkpoint_in_the_cache(earmark, tmp_path, monkeypatch):
    """Any file of the public shape will do, if its hash is the one that its name says."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    source, coded = wav(tmp_path / "in.wav", noise(2400), 24000), tmp_path / "a.ecdc"
    missing = earmark("encode", source, coded, "--checkpoint", "official")
    assert_one_line(missing, "not on this machine; fetch it by `earmark download encodec_24khz`")
    assert_one_line(earmark("encode", source, coded, "--model", "encodec_48khz"), "earmark download encodec_48khz")

    path = save_model(ENCODEC_24KHZ, tmp_path / "cache" / "new.th")
    name = f"encodec_24khz-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.th"
    path.rename(path.with_name(name))
    monkeypatch.setitem(downloads.OFFICIAL_FILES, "encodec_24khz", name)
    assert earmark("encode", source, coded, "--checkpoint", "official").status == 0
    assert_one_line(earmark("decode", coded, tmp_path / "a.wav"), "--checkpoint")
    assert earmark("decode", coded, tmp_path / "a.wav", "--checkpoint", "official").status == 0
    assert soundfile.info(tmp_path / "a.wav").frames == 2400
    assert earmark("encode", source, coded, "--checkpoint", "official", "--format", "reference").status == 0
    assert earmark("decode", coded, tmp_path / "b.wav").status == 0  # a public file knows no other weights


def test_audio_beyond_full_scale_is_limited_and_said_so(earmark, tmp_path):
    """Weights a thousand times too large in the last layer."""
    config = replace(SMALL["encodec_24khz"], seanet=replace(SMALL["encodec_24khz"].seanet, norm="none"))
    torch.manual_seed(0)
    model = EncodecModel(config)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.3)
    with torch.no_grad():
        model.decoder.layers[-1].conv.weight.mul_(1000)
    checkpoints.save(model, tmp_path / "loud.safetensors")
    given = ("--checkpoint", tmp_path / "loud.safetensors")
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    done = earmark("decode", tmp_path / "a.ecdc", tmp_path / "a.wav", *given)
    assert done.status == 0
    samples = audio.read(tmp_path / "a.wav").samples
    limited = np.isin(samples, [-1, 32767 / 32768]).sum()
    assert limited > 1000
    note = next(line for line in done.stderr.splitlines() if line.startswith("note: "))
    assert abs(int(note.split()[1]) - limited) <= 5  # some may just reach it
    assert note.endswith("samples were beyond full scale and limited to it")


# Pipes


@pytest.mark.parametrize("name", PRESETS)
def test_pipes_give_what_files_give(earmark, weights, tmp_path, name):
    given = ("--checkpoint", weights[name])
    source = wav(tmp_path / "in.wav", noise(100000, 2), 44100)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    assert earmark("decode", tmp_path / "a.ecdc", tmp_path / "a.wav", *given).status == 0
    streamed = source.read_bytes().replace(b"data" + (400000).to_bytes(4, "little"), b"data" + b"\xff" * 4)
    encode = subprocess.Popen(
        command("encode", "-", "-", *given), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    decode = subprocess.Popen(
        command("decode", "-", "-", *given), stdin=encode.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    encode.stdin.write(streamed)
    encode.stdin.close()
    out, err = decode.communicate(timeout=120)
    assert (encode.wait(60), decode.returncode) == (0, 0)
    assert (encode.stderr.read(), err) == (b"", b"")
    assert out[:4] == b"RIFF"
    (tmp_path / "b.wav").write_bytes(out)
    np.testing.assert_array_equal(audio.read(tmp_path / "b.wav").samples, audio.read(tmp_path / "a.wav").samples)


def read_until(file: io.BufferedReader, size: int, seconds: float = 60) -> bytes:
    """At least `size` bytes of a pipe that stays open."""
    data, deadline = b"", time.monotonic() + seconds
    while len(data) < size and select.select([file], [], [], max(0, deadline - time.monotonic()))[0]:
        data += os.read(file.fileno(), 1 << 16)
    return data


def test_codes_come_out_while_audio_comes_in_and_audio_while_codes_come_in(weights):
    """Two chunks of 2 s at 6 kbps, 1500 bytes each, are out before the audio of 5 s has ended."""
    given = ("--checkpoint", weights["encodec_24khz"])
    file = io.BytesIO()
    soundfile.write(file, noise(5 * 24000)[0], 24000, subtype="PCM_16", format="WAV")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command("encode", "-", "-", *given), **pipes) as encode:
        encode.stdin.write(file.getvalue()[:-1000])
        encode.stdin.flush()
        coded = read_until(encode.stdout, 3000)
        assert len(coded) >= 3000
        assert encode.poll() is None
        with subprocess.Popen(command("decode", "-", "-", *given), **pipes) as decode:
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


def test_a_reader_that_goes_away_is_no_traceback(earmark, weights, tmp_path):
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(10 * 24000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    with subprocess.Popen(command("decode", tmp_path / "a.ecdc", "-", *given), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as decode:  # fmt: skip
        decode.stdout.read(10)
        decode.stdout.close()
        assert decode.stderr.read() == b""
    assert decode.returncode != 0


def test_a_terminal_gets_no_binary(earmark, weights, tmp_path):
    source = wav(tmp_path / "in.wav", noise(100), 24000)
    screen, terminal = pty.openpty()
    with open(screen), open(terminal, "w") as stdout:  # noqa: PTH123  # file descriptors
        done = earmark("encode", source, "-", "--checkpoint", weights["encodec_24khz"], stdout=stdout)
    assert_one_line(done, "-: standard output is a terminal; send it to a file or a pipe")


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.wav", "out.wav"], "out.wav: codes go to a file that ends in .ecdc"),
        (["-", "out.ecdc", "--format", "reference"], "--format reference: needs the length first"),
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


def test_a_damaged_file_is_decoded_around_the_damage(earmark, weights, tmp_path):
    """Chunks of 2 s; one byte of the second is wrong, so that 2 to 4 s are silent but for fades of 5 ms."""
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
    assert facts["model_identity"] == checkpoints.identity(model)[:16]
    assert (facts["samples"], facts["seconds"], facts["kbps"], facts["codebooks"]) == (48000, 2.0, 3.0, 4)
    assert facts["codes_sha256"] == hashlib.sha256(codes.T.numpy().astype("<u2").tobytes()).hexdigest()
    assert_one_line(earmark("inspect", source), "not an .ecdc file")


def test_an_interrupt_leaves_nothing_half(weights, tmp_path):
    """Ended while it waits for more audio, with a part of the codes written aside."""
    out = tmp_path / "out"
    arguments = command("encode", "-", out / "a.ecdc", "--checkpoint", weights["encodec_24khz"])
    file = io.BytesIO()
    soundfile.write(file, noise(5 * 24000)[0], 24000, subtype="PCM_16", format="WAV")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False) as process:
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
    """A file size limit of 64 KiB stands for the disk."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(100000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).status == 0
    before = set(tmp_path.iterdir())
    for target in ("a.wav", "-"):
        with (tmp_path / "pipe").open("wb") as file:
            done = subprocess.run(
                command("decode", tmp_path / "a.ecdc", tmp_path / target if target != "-" else target, *given),
                stdout=file, stderr=subprocess.PIPE, text=True, timeout=120,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
            )  # fmt: skip
        (tmp_path / "pipe").unlink()
        assert done.returncode == 2
        assert f"{target}: cannot be written" in done.stderr
        assert done.stderr.count("\n") == 1
        assert set(tmp_path.iterdir()) == before


# Downloads, and the help


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server that has two of the official files, or what passes for them."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "v0").mkdir()
    for name in ("encodec_24khz", "encodec_48khz"):
        content = name.encode() * 50000
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.th"
        monkeypatch.setitem(downloads.OFFICIAL_FILES, name, file)
        (tmp_path / "v0" / file).write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v0"
        server.shutdown()
        thread.join()


def test_download_fetches_and_says_where(earmark, mirror, tmp_path):
    done = earmark("download", "encodec_24khz", "encodec_48khz", "--url", mirror)
    assert done.status == 0, done.stderr
    for line, name in zip(done.stdout.decode().splitlines(), ("encodec_24khz", "encodec_48khz"), strict=True):
        assert Path(line).parent == tmp_path / "cache"
        assert Path(line).read_bytes() == name.encode() * 50000
        assert f"{Path(line).name}: 0.7/0.7 MB" in done.stderr


def test_a_download_that_fails_is_one_line(earmark, mirror):
    assert_one_line(earmark("download", "encodec_lm_24khz", "--url", mirror), "the server answers 404")
    assert_one_line(earmark("download", "encodec_16khz", "--url", mirror), "encodec_16khz")


def test_the_models_offered_are_the_presets():
    assert tuple(PRESETS) == cli.MODELS


def test_help_of_a_command_imports_no_torch():
    script = (
        "import sys, click.testing, earmark.cli\n"
        "for name in ('encode', 'decode', 'inspect', 'download'):\n"
        "    result = click.testing.CliRunner().invoke(earmark.cli.cli, [name, '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage' in result.output, result.output\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_progress_tells_how_much_audio_is_done(earmark, weights, tmp_path):
    """Of how much where that is known; and nothing where the output goes to another program."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).stderr == "a.ecdc: 0:00:03 of 0:00:03\n"
    assert earmark("decode", tmp_path / "a.ecdc", tmp_path / "a.wav", *given).stderr == "a.wav: 0:00:03 of 0:00:03\n"
    assert earmark("encode", source, "-", *given).stderr == ""


# The language model


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = LanguageModelConfig(codebooks=2, context=262, dimension=40, layers=2, feed_forward=80)
    path = tmp_path_factory.mktemp("language model") / "float.safetensors"
    language_model_files.save(LanguageModel(config), path)
    return path


@pytest.mark.parametrize("form", ["earmark", "reference"])
def test_with_a_language_model_the_same_audio_comes_out(earmark, weights, language_model, tmp_path, form):
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    checkpoint = ("--checkpoint", weights["encodec_24khz"])
    for name, options in (("raw", ()), ("lm", ("--lm", "--language-model", language_model))):
        coded, decoded = tmp_path / f"{name}.ecdc", tmp_path / f"{name}.wav"
        assert earmark("encode", source, coded, "--kbps", 1.5, "--format", form, *checkpoint, *options).status == 0
        assert earmark("decode", coded, decoded, *checkpoint, *options[1:]).status == 0
    raw, lm = (soundfile.read(tmp_path / f"{name}.wav", dtype="int16")[0].astype(int) for name in ("raw", "lm"))
    assert abs(raw - lm).max() <= 1  # the codes are the same; they come in other pieces, and rounding differs
    without = earmark("decode", tmp_path / "lm.ecdc", tmp_path / "other.wav", *checkpoint)
    if form == "reference":
        assert_one_line(without, "give it by --language-model")
        return
    named = json.loads(earmark("inspect", tmp_path / "lm.ecdc").stdout)["language_model_identity"]
    assert_one_line(without, f"lm.ecdc: coded by the language model {named}; give it by --language-model")
    elsewhere = ("--language-model", tmp_path / "nowhere")
    assert_one_line(
        earmark("decode", tmp_path / "lm.ecdc", tmp_path / "other.wav", *checkpoint, *elsewhere),
        "nowhere: no such file; give the official language model",
    )


@pytest.mark.parametrize("form", ["earmark", "reference"])
def test_the_language_model_of_other_weights_is_one_line(earmark, weights, tmp_path, form):
    checkpoint = weights["encodec_24khz"]
    config = LanguageModelConfig(codebooks=2, context=262, dimension=8, heads=2, layers=1)
    model, identity = LanguageModel(config), checkpoints.identity(checkpoints.load(checkpoint))
    language_model_files.save(model, tmp_path / "own.safetensors", codec=identity)
    language_model_files.save(model, tmp_path / "other.safetensors", codec="0123456789abcdef" * 4)
    source = wav(tmp_path / "in.wav", noise(2400), 24000)
    given = ("encode", source, tmp_path / "a.ecdc", "--kbps", 1.5, "--format", form, "--checkpoint", checkpoint)
    assert earmark(*given, "--language-model", tmp_path / "own.safetensors").status == 0
    done = earmark(*given, "--language-model", tmp_path / "other.safetensors")
    assert_one_line(
        done, f"trained on codes of the weights 0123456789abcdef; this codec has the weights {identity[:16]}"
    )


@pytest.mark.parametrize("form", ["earmark", "reference"])
def test_inspect_reads_what_a_language_model_coded(earmark, weights, language_model, tmp_path, form):
    """By the same codes as without one; and where it is not here, no further than the header."""
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    given = ("--kbps", 1.5, "--format", form, "--checkpoint", weights["encodec_24khz"])
    raw, lm = tmp_path / "raw.ecdc", tmp_path / "lm.ecdc"
    assert earmark("encode", source, raw, *given).status == 0
    assert earmark("encode", source, lm, *given, "--lm", "--language-model", language_model).status == 0
    expected = json.loads(earmark("inspect", raw).stdout)
    facts = json.loads(earmark("inspect", lm, "--language-model", language_model).stdout)
    assert facts["codes_sha256"] == expected["codes_sha256"] is not None
    assert facts["seconds"] == expected["seconds"]

    without = earmark("inspect", lm)
    assert without.status == 0
    assert "not read beyond its header" in without.stderr
    assert json.loads(without.stdout)["codes_sha256"] is None


def test_the_public_format_is_written_by_the_official_weights(earmark, tmp_path):
    """Its readers have no others, and it does not tell whose codes it holds."""
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    done = earmark("encode", source, tmp_path / "a.ecdc", "--format", "reference")
    assert_one_line(done, "its official checkpoint is not on this machine")


def test_a_rate_that_the_weights_lack_is_one_line_with_the_remedy(earmark, tmp_path):
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    done = earmark("encode", source, tmp_path / "a.ecdc", "--kbps", 24)
    assert_one_line(done, "have 1.5, 3, 6, 12 kbps; the official ones have more, by --checkpoint official")


def test_the_name_of_a_model_is_a_checkpoint_too(earmark, tmp_path):
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", "--checkpoint", "encodec_24khz").status == 0


def test_a_named_pipe_is_coded_as_it_comes(earmark, weights, tmp_path):
    source, given = wav(tmp_path / "in.wav", noise(24000), 24000), ("--checkpoint", weights["encodec_24khz"])
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(source.read_bytes()))
    writer.start()
    assert earmark("encode", tmp_path / "pipe", tmp_path / "piped.ecdc", *given).status == 0
    writer.join()
    assert earmark("encode", source, tmp_path / "file.ecdc", *given).status == 0
    facts = [json.loads(earmark("inspect", tmp_path / name).stdout) for name in ("piped.ecdc", "file.ecdc")]
    assert facts[0]["codes_sha256"] == facts[1]["codes_sha256"]


def test_what_the_mp3_decoder_mutters_is_not_shown(earmark, weights, tmp_path):
    """libmpg123 writes to the process's standard error, past Python's."""
    soundfile.write(tmp_path / "in.mp3", noise(5 * 24000)[0], 24000)
    script = command("encode", tmp_path / "in.mp3", tmp_path / "a.ecdc", "--checkpoint", weights["encodec_24khz"])
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert "mpg123" not in done.stderr


def test_a_reader_that_has_enough_is_no_damage(weights, tmp_path):
    """Status 141, as of a program that SIGPIPE ended; 1 would say that the file is damaged."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source, coded = wav(tmp_path / "in.wav", noise(20 * 24000), 24000), tmp_path / "a.ecdc"
    subprocess.run(command("encode", source, coded, *given), check=True, capture_output=True)
    with subprocess.Popen(
        command("decode", coded, "-", *given), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        program.stdout.read(44)
        program.stdout.close()
        assert program.wait() == 141
        assert program.stderr.read() == b""
