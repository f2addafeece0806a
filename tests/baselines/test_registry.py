"""`register_codec`: what can be registered, what is refused, and a registered codec in worker processes."""

from __future__ import annotations

import functools
import pickle
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines import registry
from earmark.baselines.interface import System
from earmark.baselines.registry import families, family_of, register_codec
from earmark.baselines.systems import as_system, parse, parse_list
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat

sys.path.append(str(Path(__file__).parent))  # worker processes get this path, too
from registered_codecs import Halved, HalvedFamily, at_rate


class Incomplete:
    sample_rate = 16000

    def encode(self, audio):
        return None


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def coded(text: str) -> float:
    """Measured bit rate of a second of noise through a system."""
    noise = (0.1 * np.random.default_rng(0).standard_normal((1, 16000))).astype(np.float32)
    system = parse(text)
    result = transcode(family_of(system).open(system, 16000, 1), noise, 16000)
    assert result.audio.shape == noise.shape
    return result.payload_bits / 1000


@pytest.mark.parametrize(
    "codec", [Halved, Halved(), HalvedFamily, HalvedFamily(), functools.partial(Halved, 2), lambda: Halved()]
)
def test_every_form_of_a_codec_can_be_registered(codec):
    """Every second sample in 16 bits: 8000 x 16 = 128 kbps."""
    register_codec("halved", codec)
    assert coded("halved") == 128
    assert "halved" in families()


def test_a_parameter_kbps_makes_the_rate_part_of_the_system_string():
    """12 kbps: every 21st of 16,000 samples, 762 of them, in 16 bits, is 12.192 kbps."""
    register_codec("thinned", at_rate)
    assert coded("thinned@12") == 12.192
    assert family_of(parse("thinned@12")).kbps(parse("thinned@12")) == 12
    with pytest.raises(UserError, match="thinned: it has a parameter kbps, so name a bit rate; write thinned@12"):
        parse("thinned")
    register_codec("halved", Halved)
    with pytest.raises(UserError, match="halved@12: without a parameter kbps it takes no bit rate; write halved"):
        parse("halved@12")


@pytest.mark.parametrize(
    ("name", "codec", "says"),
    [
        ("my codec", Halved, "use letters, digits and underscores"),
        ("opus", Halved, "opus: a codec has this name already"),
        ("halved", 3, "halved: int is not a codec; give a class or object with sample_rate, channels, encode, decode"),
        ("halved", Incomplete(), "halved: Incomplete is not a codec; it has no channels, decode"),
    ],
)
def test_what_is_no_codec_is_refused_in_one_line(name, codec, says):
    with pytest.raises(UserError, match=says) as caught:
        register_codec(name, codec)
    assert "\n" not in str(caught.value)


def test_a_codec_that_cannot_be_sent_is_refused_before_the_run_and_works_in_this_process(tmp_path):
    class Locked(Halved):
        lock = threading.Lock()

    noise = (0.1 * np.random.default_rng(0).standard_normal((1, 16000))).astype(np.float32)
    audio.write(tmp_path / "audio" / "a.wav", noise, 16000)
    register_codec("locked", Locked())
    plan = runner.Plan(
        audio_dir=tmp_path / "audio", systems=(parse("locked"),), metrics=("si_snr",), run=tmp_path / "run",
        format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"locked: cannot be sent to worker processes \(.*; run it in this process by"):
        runner.run(plan)
    assert not (tmp_path / "run").exists()
    assert runner.run(replace(plan, jobs=0)).scores["status"].tolist() == ["ok"]


def test_a_function_that_returns_no_codec_is_named_when_it_is_used():
    register_codec("nothing", Incomplete)
    with pytest.raises(UserError, match="nothing: Incomplete is not a codec; it has no channels, decode"):
        coded("nothing")


def test_a_name_is_replaced_only_if_asked_for():
    register_codec("halved", Halved)
    with pytest.raises(UserError, match="registered already; choose another name, or pass replace=True"):
        register_codec("halved", Halved())
    register_codec("halved", HalvedFamily, replace=True)
    assert isinstance(families()["halved"], HalvedFamily)


def test_the_version_is_the_codecs_own_or_its_source_and_content():
    versions = []
    for factor in (2, 4):
        register_codec("halved", functools.partial(Halved, factor), replace=True)
        versions.append(families()["halved"].version())
    assert versions[0] != versions[1]
    assert versions[0].startswith("source ")
    register_codec("named", HalvedFamily)
    assert families()["named"].version() == "1"


def test_a_codec_is_made_once_for_all_tasks_of_a_process():
    register_codec("halved", functools.partial(Halved, 2))
    systems = [pickle.loads(pickle.dumps(parse("halved"))) for _ in range(2)]
    first, second = (family_of(system).open(system, 16000, 1) for system in systems)
    assert first is second


def test_a_package_that_is_missing_on_another_machine_is_one_line():
    """A worker of a cluster finds the codec of a task by its name."""
    system = System("theirs@9", "theirs", "9", {})
    family = family_of(system)
    assert family.version(system) == "none"
    with pytest.raises(UserError, match="theirs@9: no package on this machine has the codec theirs; install it on"):
        family.open(system, 16000, 1)


def test_a_registered_codec_joins_a_comparison(tmp_path):
    """Workers receive it with the tasks, also if they cannot import its class."""

    class Local(Halved):
        version = "1"

    noise = (0.1 * np.random.default_rng(0).standard_normal((1, 16000))).astype(np.float32)
    audio.write(tmp_path / "audio" / "a.wav", noise, 16000)
    register_codec("class_", Halved)
    register_codec("object_", Halved(4))
    register_codec("local", Local)
    plan = runner.Plan(
        audio_dir=tmp_path / "audio", systems=tuple(parse_list("class_,object_,local")), metrics=("si_snr",),
        run=tmp_path / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=2, command="",
    )  # fmt: skip
    scores = runner.run(plan).scores.set_index("system")
    assert scores.status.tolist() == ["ok", "ok", "ok"]
    assert scores.kbps["class_"] == 128
    assert scores.kbps["object_"] == 64


def test_a_codec_may_stand_for_its_system():
    assert as_system("opus@12.0").text == "opus@12"
    assert as_system(parse("opus@12")) == parse("opus@12")
    assert as_system(HalvedFamily()).text == "halved"
    assert as_system(Halved()).text == "Halved"
    assert family_of(as_system(Halved)).name == "Halved"
    with pytest.raises(UserError, match="int: int is not a codec"):
        as_system(3)
