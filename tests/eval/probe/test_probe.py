"""`earmark probe` of codecs whose faults are known by construction, each of which it must name."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.signal import firwin

from earmark.baselines.interface import Encoded
from earmark.baselines.systems import as_system
from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.eval.probe.coder import CoderHere
from earmark.eval.probe.findings import findings
from earmark.eval.probe.session import run
from earmark.eval.probe.stereo import stereo_finding

RATE = 16000


class Toy:
    """16-bit samples, 256 kbps at 16 kHz; subclasses alter what comes back."""

    sample_rate, channels, kbps, version = RATE, 1, 256.0, "1"

    def encode(self, audio):
        return Encoded(((np.clip(audio[0], -1, 1) * 32767).round().astype("<i2").tobytes(),), audio.shape[-1])

    def decode(self, encoded):
        return self.alter((np.frombuffer(encoded.packets[0], "<i2") / 32767).astype(np.float32))[None]

    def alter(self, audio):
        return audio


class Late(Toy):
    def alter(self, audio):
        return np.concatenate([np.zeros(37, np.float32), audio])


class Inverted(Toy):
    def alter(self, audio):
        return -audio


class Soft(Toy):
    def alter(self, audio):
        return 0.5 * audio


class Limited(Toy):
    def alter(self, audio):
        return audio.clip(-0.5, 0.5)


class LowPass(Toy):
    def alter(self, audio):
        """Linear phase of 128 samples, removed. It is down 6 dB at 4000 Hz."""
        return np.convolve(audio, firwin(257, 4000, fs=RATE))[128 : 128 + len(audio)].astype(np.float32)


class Short(Toy):
    def alter(self, audio):
        return audio[: -RATE // 4] if len(audio) > RATE else audio


class WrongRate(Toy):
    def alter(self, audio):
        """Every second sample of a band-limited signal: 8 kHz, said to be 16 kHz."""
        return np.convolve(audio, firwin(65, 3500, fs=RATE), "same")[::2].astype(np.float32)


class Jumping(Toy):
    def alter(self, audio):
        return np.concatenate([audio[:RATE], np.zeros(100, np.float32), audio[RATE:]])


class Humming(Toy):
    def alter(self, audio):
        """A hum of amplitude 0.01, which has an RMS of 20 log10(0.01) - 3.01 dB = -43.0 dBFS."""
        return audio + (0.01 * np.sin(2 * np.pi * 50 / RATE * np.arange(len(audio)))).astype(np.float32)


class Random(Toy):
    def alter(self, audio):
        return audio + (0.001 * np.random.default_rng().standard_normal(len(audio))).astype(np.float32)


class Leaking(Toy):
    def __init__(self):
        self.last = 0.0

    def alter(self, audio):
        """Begins with an echo of the last sample before."""
        altered = audio.copy()
        altered[:100] += self.last
        self.last = float(np.abs(audio).max(initial=0.0))
        return altered


class NotANumber(Toy):
    def alter(self, audio):
        return audio / max(float(np.abs(audio).max()), 1e-30) if audio.any() else audio * np.float32(np.nan)


class Failing(Toy):
    def encode(self, audio):
        if audio.shape[-1] < 1000:
            raise ValueError("one frame at least")
        return super().encode(audio)


class Costly(Toy):
    kbps = 128.0


class Stereo(Toy):
    channels, kbps = 2, 512.0

    def encode(self, audio):
        return Encoded(((np.clip(audio, -1, 1) * 32767).round().astype("<i2").tobytes(),), audio.shape[-1])

    def decode(self, encoded):
        return (np.frombuffer(encoded.packets[0], "<i2").reshape(2, -1) / 32767).astype(np.float32)


def probed(codec):
    """Property -> finding; each process of the probe is a new codec object, which shortens the test."""
    session = run(as_system(codec), start=lambda system: contextlib.nullcontext(CoderHere(as_system(codec()))))
    return {one.name: one for one in findings(session)}


def test_a_codec_without_faults_has_no_advice_but_on_what_it_cannot_help():
    found = probed(Toy)
    assert {name: one.verdict for name, one in found.items() if one.verdict != "ok"} == {}
    assert found["delay"].values["samples"] == 0
    assert found["sign"].values["sign"] == 1
    assert found["gain"].values["gain_db"] == pytest.approx(0, abs=0.01)
    assert found["bandwidth"].values["sweep_hz"] == pytest.approx(8000, rel=0.03)
    assert found["noise floor"].values["dbfs"] is None
    assert found["bit rate"].values["kbps"]["noise"] == pytest.approx(256)
    assert found["determinism"].values["repeats"] == "same"
    assert not any(one.advice for one in found.values())


@pytest.mark.parametrize(
    ("codec", "name", "verdict", "says"),
    [
        (Late, "delay", "note", "+37 samples, 2.31 ms, constant"),
        (Inverted, "sign", "note", "inverted"),
        (Soft, "gain", "note", "−6.0 dB (factor 0.50)"),
        (Limited, "clipping", "fault", "at 0.50 of full scale"),
        (LowPass, "bandwidth", "note", "of 8 kHz"),
        (Short, "length", "fault", "the last 4000 samples are missing (250.0 ms)"),
        (WrongRate, "sample rate", "fault", "the decoder gives 8 kHz but says 16 kHz"),
        (Jumping, "delay", "fault", "not constant"),
        (Humming, "noise floor", "note", "−43.0 dBFS for silence"),
        (Random, "determinism", "fault", "random"),
        (Leaking, "determinism", "fault", "state leaks from one call to the next"),
        (NotANumber, "signals", "fault", "NaN or infinite samples for silence"),
        (Failing, "signals", "note", "failed: 1 samples, 160 samples"),
        (Costly, "bit rate", "note", "noise 256.00"),
    ],
)
def test_each_fault_is_named_with_advice(codec, name, verdict, says):
    found = probed(codec)
    assert (found[name].verdict, says in found[name].measured) == (verdict, True), found[name]
    assert found[name].advice
    clean = {"Late": {"length"}, "Jumping": {"length"}, "NotANumber": {"gain", "clipping"}}.get(codec.__name__, set())
    others = {one.name for one in found.values() if one.verdict == "fault"} - {name}
    assert others <= clean


def test_mixed_up_channels_are_named():
    """Also 37 samples late, as a codec of one's own may be."""
    session = run(as_system(Stereo), start=lambda _: contextlib.nullcontext(CoderHere(as_system(Stereo()))))
    assert stereo_finding(session).values["channels"] == "kept"
    changes = {
        "swapped": lambda audio: audio[::-1],
        "folded": lambda audio: audio.mean(axis=0, keepdims=True).repeat(2, axis=0),
        "channel inverted": lambda audio: audio * np.array([[1], [-1]], np.float32),
        "channel lost": lambda audio: audio * np.array([[1], [0]], np.float32),
    }
    for name, change in changes.items():
        decoded = np.pad(change(session.stereo.call.decoded), [(0, 0), (37, 0)])
        faulty = replace(session, stereo=replace(session.stereo, call=replace(session.stereo.call, decoded=decoded)))
        found = stereo_finding(faulty)
        assert found.values["channels"] == name
        assert found.verdict == ("note" if name == "folded" else "fault")
        assert found.advice
    assert stereo_finding(replace(session, stereo=None, formats={})).measured == "mono"


def test_a_low_pass_is_measured_within_a_tenth_of_a_kilohertz():
    """A window design of 257 taps falls from -6 dB at 4000 Hz to -50 dB within about 100 Hz (3.3 * 16000 / 257 / 2)."""
    values = probed(LowPass)["bandwidth"].values
    assert values["sweep_hz"] == pytest.approx(4000, abs=100)
    assert values["noise_hz"] == pytest.approx(4000, abs=100)


SCRIPT = """
import os, sys, wave
with wave.open(sys.argv[1]) as file:
    rate, frames = file.getframerate(), file.readframes(file.getnframes())
if rate > 24000:
    sys.exit("rates up to 24 kHz")
with open(sys.argv[2], "wb") as file:
    file.write(rate.to_bytes(4, "little") + frames)
"""
DECODER = """
import pathlib, sys, wave
data, state = open(sys.argv[1], "rb").read(), pathlib.Path(__file__).with_name("state")
before = state.read_bytes() if state.exists() else bytes(4)
state.write_bytes(data[1004:1008])
with wave.open(sys.argv[2], "wb") as file:
    file.setparams((1, 2, int.from_bytes(data[:4], "little"), 0, "NONE", ""))
    file.writeframes(before[:2] * 200 + data[404:])
"""


def test_a_command_that_keeps_a_file_between_its_calls(tmp_path: Path):
    """A probe in real processes: the state outlives them, as each command is one; 48 kHz is refused by the encoder."""
    (tmp_path / "encode.py").write_text(SCRIPT)
    (tmp_path / "decode.py").write_text(DECODER)
    python = f"{sys.executable} -S {tmp_path}"
    command = f"mine={python}/encode.py {{input}} {{bitstream}} && {python}/decode.py {{bitstream}} {{output}}"
    done = CliRunner().invoke(
        cli, ["probe", "--codec", command, "--format", "json", "-o", str(tmp_path / "page.json")], standalone_mode=False
    )
    assert done.return_value == 1, done.output
    found = {one["property"]: one for one in json.loads((tmp_path / "page.json").read_text())}
    assert "even to another process" in found["determinism"]["measured"]
    assert found["sample rate"]["sample_rate"] == 24000
    assert "48 kHz mono" in found["formats"]["failed"]
    assert "rates up to 24 kHz" in found["formats"]["advice"]
    assert found["bit rate"]["kbps"]["silence"] == pytest.approx(
        384, rel=0.001
    )  # 24000 samples of 16 bits, and 4 bytes


def test_one_system_is_named():
    for arguments in (["probe"], ["probe", "opus@6,opus@12"]):
        done = CliRunner().invoke(cli, arguments)
        assert isinstance(done.exception, UserError)
        assert "earmark probe opus@" in str(done.exception)
