"""`earmark encode` and `decode` on files: codes, audio, formats, and the choice of weights."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from earmark.codec import audio, ecdc, recordings
from earmark.codec.audio.blocks import AudioStream
from earmark.codec.checkpoints import downloads, identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.model_choice import MODELS

from ...forks import started
from ..other_device import OtherDevice, moved
from .command_line import SMALL, assert_one_line, noise, save_model, wav


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (48000, 2), (44100, 2), (8000, 1)])
def test_files_give_the_codes_and_audio_of_the_model(earmark, weights, tmp_path, name, rate, channels):
    """The commands equal reading, resampling, mixing, coding and decoding the whole recording in Python."""
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
def test_the_suffix_chooses_the_output_format(earmark, weights, tmp_path, suffix):
    name = "encodec_48khz"
    source = wav(tmp_path / "in.wav", noise(70000, 2), 48000)
    assert earmark("encode", source, tmp_path / "a.ecdc", "--checkpoint", weights[name]).status == 0
    assert earmark("decode", tmp_path / "a.ecdc", tmp_path / f"a.{suffix}", "--checkpoint", weights[name]).status == 0
    info = soundfile.info(tmp_path / f"a.{suffix}")
    assert (info.format, info.frames, info.samplerate, info.channels) == (suffix.upper(), 70000, 48000, 2)


def test_the_public_format_is_written_and_read(earmark, weights, tmp_path):
    """Its header is JSON with model, length, codebooks, and whether a language model is used."""
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
    for format in ("earmark", "reference"):
        coded, out = tmp_path / f"{format}.ecdc", tmp_path / f"{format}.wav"
        assert earmark("encode", source, coded, *given, "--kbps", 4, "--format", format).status == 0
        assert earmark("decode", coded, out, *given).status == 0
        assert (soundfile.info(out).frames, soundfile.info(out).samplerate) == (16000, 16000)
    unknown = earmark("decode", tmp_path / "earmark.ecdc", tmp_path / "b.wav")
    assert_one_line(unknown, "codes of the model 'mine'; give its weights by --checkpoint")


def test_the_weights_of_the_package_are_the_default(earmark, tmp_path):
    source, coded = wav(tmp_path / "in.wav", noise(2400), 24000), tmp_path / "a.ecdc"
    assert earmark("encode", source, coded).status == 0
    facts = json.loads(earmark("inspect", coded).stdout)
    ours = identities.codes_identity(checkpoints.load(downloads.bundled("encodec_24khz")))
    assert ours.startswith(facts["model_identity"])
    assert (facts["weights"], facts["weights_licence"]) == ("bundled", "MIT, as Earmark")
    assert earmark("decode", coded, tmp_path / "a.wav").status == 0

    plain = json.loads(earmark("inspect", coded).stdout)
    assert earmark("encode", source, coded, "--lm", "--force").status == 0
    shorter = json.loads(earmark("inspect", coded).stdout)
    assert shorter["codes_sha256"] == plain["codes_sha256"]
    assert earmark("decode", coded, tmp_path / "b.wav").status == 0


def test_the_official_checkpoint_in_the_cache(earmark, tmp_path, monkeypatch):
    """Any file of the public shape serves, if its hash is the one in its name."""
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
    facts = json.loads(earmark("inspect", coded).stdout)
    assert (facts["weights"], facts["weights_licence"]) == ("official", "published with code under the MIT licence")
    with monkeypatch.context() as patch:  # the second time without PyTorch, from a file beside the weights
        patch.setattr(checkpoints, "load", None)
        assert json.loads(earmark("inspect", coded).stdout) == facts
    assert_one_line(earmark("decode", coded, tmp_path / "a.wav"), "--checkpoint")
    assert earmark("decode", coded, tmp_path / "a.wav", "--checkpoint", "official").status == 0
    assert soundfile.info(tmp_path / "a.wav").frames == 2400
    assert earmark("encode", source, coded, "--checkpoint", "official", "--format", "reference", "--force").status == 0
    assert earmark("decode", coded, tmp_path / "b.wav").status == 0  # the public format implies the official weights


def test_the_public_format_needs_the_official_weights(earmark, tmp_path):
    """Its readers have no others, and the format does not identify the weights."""
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    done = earmark("encode", source, tmp_path / "a.ecdc", "--format", "reference")
    assert_one_line(done, "its official checkpoint is not on this machine")


def test_the_name_of_a_model_is_a_checkpoint_too(earmark, tmp_path):
    source = wav(tmp_path / "in.wav", noise(4800), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", "--checkpoint", "encodec_24khz").status == 0


def test_audio_beyond_full_scale_is_limited_and_reported(earmark, tmp_path):
    """The weights of the last layer are a thousand times too large."""
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
    assert abs(int(note.split()[1]) - limited) <= 5  # some may just reach full scale
    assert note.endswith("samples were beyond full scale and limited to it")


def test_messages_of_the_mp3_decoder_are_not_shown(earmark, weights, tmp_path):
    """libmpg123 writes to the standard error of the process, bypassing Python."""
    soundfile.write(tmp_path / "in.mp3", noise(5 * 24000)[0], 24000)
    arguments = ("encode", tmp_path / "in.mp3", tmp_path / "a.ecdc", "--checkpoint", weights["encodec_24khz"])
    encode = started(*arguments, stderr=subprocess.PIPE, text=True)
    said = encode.communicate()[1]
    assert encode.returncode == 0
    assert "mpg123" not in said


def test_progress_shows_how_much_audio_is_done(earmark, weights, tmp_path):
    """Shows the total if it is known, and nothing if the output is a pipe."""
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given).stderr == "a.ecdc: 0:00:03 of 0:00:03\n"
    assert earmark("decode", tmp_path / "a.ecdc", tmp_path / "a.wav", *given).stderr == "a.wav: 0:00:03 of 0:00:03\n"
    assert earmark("encode", source, "-", *given).stderr == ""


def test_the_choices_of_model_are_the_presets():
    assert tuple(PRESETS) == MODELS


def test_help_of_a_command_imports_no_torch():
    script = (
        "import sys, click.testing, earmark.cli\n"
        "for name in ('encode', 'decode', 'inspect', 'download'):\n"
        "    result = click.testing.CliRunner().invoke(earmark.cli.cli, [name, '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage' in result.output, result.output\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(("device", "reason"), [("cuda", "PyTorch finds 0 GPU"), ("gpu", "no such device")])
def test_a_device_that_is_not_there_is_named(earmark, weights, tmp_path, device, reason):
    source, coded = wav(tmp_path / "in.wav", noise(3000, 1), 24000), tmp_path / "out.ecdc"
    checkpoint = ("--checkpoint", weights["encodec_24khz"])
    assert earmark("encode", source, coded, *checkpoint, "--device", "cpu").status == 0
    for arguments in (("encode", source, tmp_path / "other.ecdc"), ("decode", coded, tmp_path / "other.wav")):
        done = earmark(*arguments, *checkpoint, "--device", device)
        assert done.status == 2
        assert f"--device {device}: {reason}" in done.stderr


def test_files_from_another_device(weights, tmp_path):
    """Encoded and decoded on a GPU, block by block as the commands do, a recording gives the bytes and samples."""
    model = checkpoints.load(weights["encodec_24khz"])
    files = {}
    for device in ("cpu", "other"):
        with OtherDevice() if device == "other" else nullcontext():
            if device == "other":
                moved(model)
            recording = AudioStream("noise", 24000, 1, 9000, iter([noise(9000, 1)]))
            file = io.BytesIO()
            writer = ecdc.open_writer(file, model.config, 4, 9000)
            list(recordings.encode(recording, model, 3.0, writer))
            file.seek(0)
            decoded = [*recordings.decode(model, ecdc.open_reader(file), "noise")]
            files[device] = file.getvalue(), np.concatenate(decoded, axis=1)
    assert files["cpu"][0] == files["other"][0]
    np.testing.assert_array_equal(files["cpu"][1], files["other"][1])
