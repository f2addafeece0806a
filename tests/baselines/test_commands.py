"""A codec of the user's own as a command: what it gets, what it must give, and its mistakes in one line."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from baselines import commands, programs
from baselines.systems import families, family_of, parse
from baselines.transcode import transcode
from codec.audio import write
from codec.errors import UserError
from earmark import cli

COPY = "cp {input} {bitstream} && cp {bitstream} {output}"


@pytest.fixture(autouse=True)
def nothing_defined(monkeypatch):
    monkeypatch.setenv(commands.VARIABLE, "{}")
    families.cache_clear()
    yield
    families.cache_clear()


def codec(command: str, text: str = "mine", rate: int = 16000, channels: int = 1):
    commands.define(f"mine={command}")
    system = parse(text)
    return family_of(system).open(system, rate, channels)


def noise(samples: int = 1600, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_it_gets_a_wav_of_16_bits_and_its_bitstream_is_counted(channels):
    """A header of 44 bytes and two bytes a sample."""
    audio = noise(channels=channels)
    result = transcode(codec(COPY, channels=channels), audio, 16000)
    np.testing.assert_allclose(result.audio, audio, atol=1 / 32768)
    assert result.payload_bits == 8 * (44 + 2 * audio.size)


def test_rate_and_sample_rate_are_filled_in():
    one = codec("echo {kbps} {rate} $0 > {bitstream}; : {input} && touch {bitstream} {output}", "mine@9.60", rate=24000)
    assert one.name == "mine@9.6"
    assert one.encode(noise()).packets == (b"9.6 24000 sh\n",)


def test_the_decoder_sees_the_bitstream_and_nothing_else():
    one = codec("cp {input} {bitstream} && test ! -e input.wav && ls | wc -l | grep -qx 1 && cp {bitstream} {output}")
    assert one.decode(one.encode(noise())).shape == (1, 1600)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("echo broken >&2; exit 3; {input} {bitstream} && cp {bitstream} {output}", "sh failed with status 3: broken"),
        (": {input} {bitstream} && cp {bitstream} {output}", "mine: its encoder wrote no {bitstream}"),
        ("cp {input} {bitstream} && : {bitstream} {output}", "mine: its decoder wrote no {output}"),
        ("cp {input} {bitstream} && echo {bitstream} > {output}", "output.wav: not readable as audio"),
        ("kill -SEGV $$; {input} {bitstream} && cp {bitstream} {output}", "mine: sh crashed by SIGSEGV"),
        ("sleep 60; {input} {bitstream} && cp {bitstream} {output}", "mine: sh hung and was ended after 1 s"),
    ],
)  # fmt: skip
def test_what_fails_is_one_line(command, says, monkeypatch):
    monkeypatch.setattr(programs, "patience", lambda seconds: 1.0 if "sleep" in command else 30.0)
    one = codec(command)
    with pytest.raises(UserError) as caught:
        one.decode(one.encode(noise()))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_sample_rate_is_refused(tmp_path):
    write(tmp_path / "other.wav", noise(), 8000)
    one = codec(f"cp {{input}} {{bitstream}} && : {{bitstream}}; cp {tmp_path}/other.wav {{output}}")
    with pytest.raises(UserError, match="8000 Hz and 1 channels for 16000 Hz and 1"):
        one.decode(one.encode(noise()))


@pytest.mark.parametrize(
    "text",
    ["mine", "mine=", "=x", "mine=enc {input} {bitstream}", "mine=enc {input} && dec {output}", f"my codec={COPY}"],
)
def test_what_is_no_command_is_answered_with_the_form(text):
    with pytest.raises(UserError, match="not of the form NAME=ENCODE"):
        commands.define(text)


def test_mistakes_in_names_and_rates():
    with pytest.raises(UserError, match="opus: a codec of Earmark has this name"):
        commands.define(f"opus={COPY}")
    commands.define(f"mine={COPY}")
    with pytest.raises(UserError, match="so it takes no rate; write mine"):
        parse("mine@12")
    commands.define("mine=enc {kbps} {input} {bitstream} && dec {bitstream} {output}")
    with pytest.raises(UserError, match="so name a rate; write mine@12"):
        parse("mine")


def test_a_damaged_variable_is_one_line(monkeypatch):
    for value in ("[", "[1]", '{"a": 1}'):
        monkeypatch.setenv(commands.VARIABLE, value)
        with pytest.raises(UserError, match="EARMARK_COMMANDS: not a JSON object"):
            commands.defined()


def test_other_commands_are_another_version():
    versions = []
    for command in (COPY, COPY + " "), (COPY.replace("cp", "cp -f"),):
        commands.define(f"mine={command[0]}")
        versions.append(families()["mine"].version())
    assert versions[0] != versions[1]


def test_joins_a_comparison_beside_others(tmp_path):
    """In worker processes; a codec that fails costs the others nothing."""
    write(tmp_path / "audio" / "a.wav", noise(16000), 16000)
    broken = f"broken={sys.executable} -c 1/0 {{input}} {{bitstream}} && cp {{bitstream}} {{output}}"
    arguments = ["compare", tmp_path / "audio", "--systems", "mp3@64", "--metrics", "si_snr", "--out", tmp_path / "run"]
    command = [*map(str, arguments), "--system", f"mine={COPY}", "--system", broken, "--jobs", "2"]
    done = CliRunner().invoke(cli, command)
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet").set_index("system")
    assert list(scores.status[["mp3@64", "mine", "broken"]]) == ["ok", "ok", "error"], done.output
    assert "ZeroDivisionError" in scores.reason["broken"]
    assert scores.kbps["mine"] == pytest.approx(8 * (44 + 32000) / 1000)
    assert scores.lag["mine"] == 0
