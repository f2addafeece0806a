"""A codec of the user's own as a command: its input, its output, and its errors in one line."""

from __future__ import annotations

import pickle
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from earmark.baselines import programs
from earmark.baselines.commands import read_command
from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.baselines.systems import parse
from earmark.baselines.transcode import transcode
from earmark.cli import cli
from earmark.codec.audio import write
from earmark.codec.errors import UserError

SILENCE = (  # a WAV of 16 kHz without a program
    f"{sys.executable} -c \"import wave; f = wave.open('output.wav', 'w'); f.setparams((1, 2, 16000, 0, 'NONE', '')); "
    'f.writeframes(bytes(3200))"; : {bitstream} {output}'
)
COPY = "cp {input} {bitstream} && cp {bitstream} {output}"


def mine(command: str, text: str = "mine", **changes: object) -> System:
    return replace(parse(text, {"mine": read_command(f"mine={command}")}), **changes)


def codec(command: str, text: str = "mine", rate: int = 16000, channels: int = 1, timeout: float | None = None):
    system = mine(command, text, timeout=timeout)
    return family_of(system).open(system, rate, channels)


def noise(samples: int = 1600, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_encoder_gets_a_16_bit_wav_and_its_bitstream_is_counted(channels):
    """Two bytes per sample; the header of a WAV does not count."""
    audio = noise(channels=channels)
    result = transcode(codec(COPY, channels=channels), audio, 16000)
    np.testing.assert_allclose(result.audio, audio, atol=1 / 32768)
    assert result.payload_bits == 8 * 2 * audio.size


def test_the_bytes_of_an_unknown_format_are_counted_as_file_bytes():
    result = transcode(codec(f"tail -c 1000 {{input}} > {{bitstream}} && {SILENCE}"), noise(), 16000)
    assert (result.payload_bits, result.coded_seconds, result.file_bytes) == (8000, None, True)


def test_a_command_without_a_bitstream_is_no_codec():
    one = mine("cp {input} {output}")
    assert not family_of(one).coded
    audio = noise(channels=2)
    result = transcode(family_of(one).open(one, 16000, 2), audio, 16000)
    np.testing.assert_allclose(result.audio, audio, atol=1 / 32768)
    assert (result.payload_bits, result.encode_seconds, result.decode_seconds) == (0, None, None)


def test_input24_has_24_bits():
    """One step of 24 bits, 2^-23, is less than half a step of 16 bits and lost there."""
    audio = np.full((1, 1600), 0.25 + 2.0**-23, np.float32)
    for name, expected in (("{input}", 0.25), ("{input24}", 0.25 + 2.0**-23)):
        assert (transcode(codec(COPY.replace("{input}", name)), audio, 16000).audio == expected).all()
    both = codec("cmp {input24} {input}; cat {input24} {input} > {bitstream} && cp {bitstream} {output}")
    assert len(both.encode(audio).packets[0]) > 1600 * (3 + 2)


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
        ("echo bad >&2; exit 3; {input} {bitstream} && cp {bitstream} {output}", "encoder failed with status 3: bad"),
        (": {input} {bitstream} && cp {bitstream} {output}", "mine: its encoder wrote no {bitstream}"),
        ("cp {input} {bitstream} && : {bitstream} {output}", "mine: its decoder wrote no {output}"),
        ("cp {input} {bitstream} && echo {bitstream} > {output}", "output.wav: not readable as audio"),
        ("kill -SEGV $$; {input} {bitstream} && cp {bitstream} {output}", "mine: its encoder crashed by SIGSEGV"),
        # A shell returns 128 + the number of the signal that ended its command; there is no signal 72.
        ("exit 139; {input} {bitstream} && cp {bitstream} {output}", "mine: its encoder crashed by SIGSEGV"),
        ("exit 200; {input} {bitstream} && cp {bitstream} {output}", "mine: its encoder failed with status 200"),
        ("cp {input} {bitstream} && kill $$; {bitstream} {output}", "mine: its decoder crashed by SIGTERM"),
        ("sleep 60; {input} {bitstream} && cp {bitstream} {output}", "mine: its encoder hung and was ended after 1 s"),
    ],
)  # fmt: skip
def test_failures_are_one_line(command, says):
    one = codec(command, timeout=1.0 if "sleep" in command else 30.0)
    with pytest.raises(UserError) as caught:
        one.decode(one.encode(noise()))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def runs(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ("sleep 41 & echo $! > child; exit 0", None),  # the child holds the output open
        ("sleep 41 > log 2>&1 & echo $! > child; exit 0", None),
        ("sleep 41 > log 2>&1 & echo $! > child; exit 3", "status 3"),
        ("sleep 41 & echo $! > child; wait", "hung"),
    ],
)
def test_children_of_a_program_do_not_outlive_it(tmp_path, script, ending):
    with pytest.raises(UserError, match=ending) if ending else nullcontext():
        programs.run(["sh", "-c", script], tmp_path, 1.0, "mine")
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not runs(child)


@pytest.mark.parametrize("ends", ["exit 0", "sleep 60"])
def test_a_child_that_leaves_the_group_does_not_keep_a_program_open(tmp_path, ends):
    """A detached child holds the program's output open; a pipe would be read until the child ends, after 30 s."""
    script = "import subprocess; subprocess.Popen(['sleep', '30'], start_new_session=True); print('done')"
    command = ["sh", "-c", f'{sys.executable} -c "{script}"; {ends}']
    started = time.monotonic()
    if ends == "exit 0":
        assert programs.run(command, tmp_path, 20.0, "mine") == "done\n"
    else:
        with pytest.raises(UserError, match="hung and was ended after 3 s"):
            programs.run(command, tmp_path, 3.0, "mine")
    assert time.monotonic() - started < 25


def test_the_time_limit_is_60_s_and_30_times_the_audio_or_the_users():
    assert programs.time_limit(1.0) == 90.0
    assert programs.time_limit(1.0, 0.5) == 0.5
    one = codec("sleep 60; {input} {bitstream} && cp {bitstream} {output}", timeout=0.5)
    with pytest.raises(UserError, match=r"hung and was ended after 0\.5 s"):
        one.encode(noise())


HANGING = "hanging=sleep 60; {input} {bitstream} && cp {bitstream} {output}"


def compare_with_a_hanging_codec(folder: Path, *options: str, **environment: str):
    write(folder / "audio" / "a.wav", noise(16000), 16000)
    arguments = ["compare", folder / "audio", "--metrics", "si_snr", "--systems", "mp3@64", "--out", folder / "run"]
    return CliRunner().invoke(
        cli, [*map(str, arguments), "--system", HANGING, "--jobs", "1", *options], env=environment
    )  # fmt: skip


def test_timeout_reaches_the_workers(tmp_path):
    done = compare_with_a_hanging_codec(tmp_path / "option", "--timeout", "0.5")
    assert "hung and was ended after 0.5 s" in done.stderr
    done = compare_with_a_hanging_codec(tmp_path / "variable", EARMARK_TIMEOUT="0.5")
    assert "hung and was ended after 0.5 s" in done.stderr


@pytest.mark.parametrize("wrong", ["soon", "0", "nan", "inf"])
def test_a_timeout_is_a_number_of_seconds(tmp_path, wrong):
    for done in (
        compare_with_a_hanging_codec(tmp_path, EARMARK_TIMEOUT=wrong),
        compare_with_a_hanging_codec(tmp_path, "--timeout", wrong),
    ):
        assert done.exit_code == 2
        assert "'--timeout' (env var: 'EARMARK_TIMEOUT')" in done.stderr
        assert wrong in done.stderr


@pytest.mark.parametrize(
    ("channels", "rate", "of_input", "shape", "converted"),
    [
        (1, 8000, 1, (1, 3200), ["8 kHz to 16 kHz"]),
        (2, 16000, 1, (1, 1600), ["2 channels to 1"]),
        (1, 16000, 2, (2, 1600), ["1 channel to 2"]),
    ],
)
def test_another_format_is_converted_and_told(tmp_path, channels, rate, of_input, shape, converted):
    write(tmp_path / "other.wav", noise(channels=channels), rate)
    one = codec(f"cp {{input}} {{bitstream}} && : {{bitstream}}; cp {tmp_path}/other.wav {{output}}", channels=of_input)
    for _ in range(2):
        assert one.decode(one.encode(noise(channels=of_input))).shape == shape
    assert one.converted == converted


def test_the_output_keeps_its_length():
    """A delay and padding are for the search to find: 100 samples more come back."""
    longer = f'{sys.executable} -c \'import soundfile as s, numpy as n; x, r = s.read("{{bitstream}}"); '
    longer += 's.write("{output}", n.pad(x, (100, 0)), r)\''
    one = codec(f"cp {{input}} {{bitstream}} && {longer}")
    assert one.decode(one.encode(noise())).shape == (1, 1700)


@pytest.mark.parametrize(
    "text",
    ["mine", "mine=", "=x", "mine=enc {input} {bitstream}", "mine=enc {input} && dec {output}", f"my codec={COPY}"],
)
def test_an_invalid_command_is_refused_with_the_format(text):
    with pytest.raises(UserError, match=r"^--codec .*: write NAME=ENCODE"):
        read_command(text)


def test_mistakes_in_names_and_rates(tmp_path):
    done = CliRunner().invoke(
        cli, ["compare", str(tmp_path), "--system", f"opus={COPY}", "--out", str(tmp_path / "run")]
    )
    assert "opus: a codec of Earmark has this name" in str(done.exception)
    with pytest.raises(UserError, match=r"mine@12: without {kbps} it takes no bit rate; write mine$"):
        mine(COPY, "mine@12")
    with pytest.raises(UserError, match=r"mine: it has {kbps}, so name a bit rate; write mine@12$"):
        mine("enc {kbps} {input} {bitstream} && dec {bitstream} {output}")


def test_other_commands_are_another_version():
    first, second = (read_command(f"mine={command}").version() for command in (COPY, COPY.replace("cp", "cp -f")))
    assert first != second


def test_a_system_takes_its_command_to_another_process():
    """As a part of its pickled content; systems are equal if their texts are."""
    system = mine(COPY, timeout=5.0)
    there = pickle.loads(pickle.dumps(system))
    assert there == system == mine(COPY.replace("cp", "cp -f"))
    assert family_of(there).version() == family_of(system).version()
    assert there.timeout == 5.0
    assert hash(there) == hash(system)


def test_a_command_is_compared_with_other_codecs(tmp_path):
    """In worker processes; a codec that fails does not affect the others."""
    write(tmp_path / "audio" / "a.wav", noise(16000), 16000)
    broken = f"broken={sys.executable} -c 1/0 {{input}} {{bitstream}} && cp {{bitstream}} {{output}}"
    arguments = ["compare", tmp_path / "audio", "--systems", "mp3@64", "--metrics", "si_snr", "--out", tmp_path / "run"]
    command = [*map(str, arguments), "--system", f"mine={COPY}", "--system", broken, "--jobs", "2"]
    done = CliRunner().invoke(cli, command)
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet").set_index("system")
    assert list(scores.status[["mp3@64", "mine", "broken"]]) == ["ok", "ok", "error"], done.output
    assert "ZeroDivisionError" in scores.reason["broken"]
    assert scores.kbps["mine"] == pytest.approx(8 * 32000 / 1000)
    assert scores.lag["mine"] == 0
