"""A metric as a command: what it is given, how its answer is read, what identifies it, and its errors in one line."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from earmark.baselines.systems import parse
from earmark.cli import cli
from earmark.codec.audio import write
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import ReferenceFormat
from earmark.eval.metrics import registry, remembered
from earmark.eval.metrics.command_metric import CommandMetric
from earmark.eval.metrics.command_options import command_metric, read_metric, with_patterns, with_timeout
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Metric, Score
from earmark.eval.scoring import score

# Prints the sample rate, channels and level of both files.
PROGRAM = """
import sys, wave
import numpy as np
for name in sys.argv[1:]:
    with wave.open(name) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        print(name, "has level", abs(samples.astype(float)).mean())
        print(file.getframerate(), file.getnchannels(), file.getsampwidth())
print("finished", file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch):
    """Metrics that a test registers end with it."""
    monkeypatch.setattr(registry, "_METRICS", registry.registered())
    monkeypatch.setattr(remembered, "_REMEMBERED", {})


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def noise(channels: int = 1, samples: int = 4800) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


def answer(metric: Metric, channels: int = 1) -> Score:
    return evaluate(metric, noise(channels), 0.5 * noise(channels), 48000)


@pytest.mark.parametrize(
    ("printed", "pattern", "value"),
    [
        ("MOS 4.21\n", None, 4.21),
        ("reference1.wav 48000Hz v1.2.3 P862 -1.5e-1 dB\ndone", None, -0.15),
        ("score=.5.", None, 0.5),
        ("MOS-LQO: 4.21 (P.863, 48000)", r"MOS-LQO: (\S+)", 4.21),
        ("frame 3.0\nframe 4.0\nmean 3.5", r"^frame (.*)$", 4.0),  # the last match
        ("x 7 y", r"\d", 7.0),  # without a group the whole match
    ],
)
def test_the_last_number_or_the_pattern_is_the_score(printed, pattern, value):
    assert CommandMetric("mine", "x {decoded}", pattern).read(printed) == Score(value)


@pytest.mark.parametrize(
    ("metric", "printed", "reason"),
    [
        (CommandMetric("m", "x"), "no licence\n", "its command printed no number; its last line is: no licence"),
        (CommandMetric("m", "x"), "", "its command printed no number"),
        (CommandMetric("m", "x", "MOS (.*)"), "4.2", "its command printed nothing that matches MOS (.*)"),
        (CommandMetric("m", "x", "MOS (.*)"), "MOS good", "its command printed 'good', which is no number"),
        (CommandMetric("m", "x", limits=(1, 4.75)), "4.1 in 863 frames", "printed 863, outside its range 1 to 4.75"),
    ],
)
def test_an_answer_that_is_no_score_is_an_error_with_the_reason(metric, printed, reason):
    assert metric.read(printed).status == "error"
    assert reason in metric.read(printed).reason


def test_a_program_gets_two_wav_files_in_the_stated_format(program, tmp_path):
    """Standard error does not count: the last number on standard output is the 2 bytes of a 16-bit sample."""
    command = f"{sys.executable} {program} {{reference}} {{decoded}}"
    assert answer(command_metric("bytes", command)) == Score(2)
    level = r"decoded.wav has level (\S+)"
    expected = np.abs(np.rint(0.5 * noise()[0] * 32768)).mean()
    assert answer(command_metric("level", command, pattern=level)).value == pytest.approx(expected, rel=1e-3)
    rate = command_metric("rate", command, pattern=r"^(\d+) (?=1 2)", sample_rate=16000)
    assert answer(rate, channels=2) == Score(16000)
    assert answer(command_metric("all", command, pattern=r"^48000 (\d)", channels="all"), channels=2) == Score(2)
    assert answer(command_metric("rate", "echo {rate} {decoded} 0.5; echo {rate}")) == Score(48000)


def test_failures_and_hanging_programs_are_one_line():
    broken = answer(command_metric("mine", "echo 3 {decoded}; echo no licence >&2; exit 3"))
    assert broken == Score(None, "error", "its command failed with status 3: no licence")
    hanging = with_timeout(read_metric("mine=sleep 60; echo {decoded}"), 0.3)
    assert answer(hanging).reason == "its command hung and was ended after 0.3 s"
    absent = read_metric("mine=no_such_program --x {reference} {decoded}")
    assert absent.available() == (
        "unavailable: there is no program no_such_program; put it on PATH or write its path in full"
    )


def test_a_relative_path_is_refused_with_the_full_one(tmp_path, monkeypatch):
    """Commands run in a folder of their own, where ./polqa and script.py are not."""
    monkeypatch.chdir(tmp_path)
    for name in ("polqa", "script.py", "out.txt"):
        (tmp_path / name).touch(mode=0o755)
    for command, name in (("./polqa {decoded}", "./polqa"), (f"{sys.executable} script.py {{decoded}}", "script.py")):
        full = tmp_path / name.removeprefix("./")
        reason = command_metric("mine", command).available()
        assert reason == f"unavailable: its command runs in another folder; write {name} as {full}"
    assert command_metric("mine", f"{tmp_path}/polqa {{decoded}} > out.txt; tail out.txt").available() is None


def test_a_pattern_on_the_command_line_is_that_of_a_toml_file(tmp_path):
    printed = "echo 'MOS: 3.5 (version 2)' {decoded}"
    (tmp_path / "mine.toml").write_text(f'command = "{printed}"\npattern = "MOS: (\\\\S+)"\nunit = "MOS"\n')
    of_file = read_metric(str(tmp_path / "mine.toml"))
    [given] = with_patterns([read_metric(f"mine={printed}")], [r"mine=MOS: (\S+)"])
    assert answer(given) == answer(of_file) == Score(3.5)
    assert given.version() == of_file.version() != read_metric(f"mine={printed}").version()
    [other] = with_patterns([of_file], [r"mine=version (\d)"])
    assert (answer(other), other.unit) == (Score(2.0), "MOS")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mine", "--metric-pattern 'mine': write NAME=REGEX, e.g. 'polqa=MOS"),
        ("other=x", "--metric-pattern other: no metric given by --metric; there is mine"),
        ("mine=(", "--metric-pattern mine: pattern '(' is no regular expression"),
    ],
)
def test_a_wrong_pattern_on_the_command_line_is_refused(text, says):
    with pytest.raises(UserError) as caught:
        with_patterns([read_metric("mine=x {decoded}")], [text])
    assert str(caught.value).startswith(says)


def test_a_rebuilt_program_a_changed_pattern_and_another_file_are_other_versions(program, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"1")
    command = f"{program} {{reference}} {{decoded}} --weights={tmp_path}/weights.bin"

    def version(**changes: object) -> str:
        return command_metric("mine", command, **changes).version()

    first = version()
    assert (
        first
        == version(unit="MOS", timeout=3.0)
        == pickle.loads(pickle.dumps(command_metric("mine", command))).version()
    )
    assert len({first, version(pattern="(.*)"), version(limits=(1, 5)), version(files=(program,))}) == 4
    (tmp_path / "weights.bin").write_bytes(b"2")
    second = version()
    program.write_text(PROGRAM.replace("level", "mean"))
    assert len({first, second, version()}) == 3


TOML = """
command = "python3 {folder}/program.py {reference} {decoded}"
pattern = 'decoded.wav has level (\\S+)'
unit = "steps"
better = "lower"
range = [0, 32768]
sample_rate = 16000
channels = "mono"
timeout = 100
files = ["program.py"]
source = "ITU-T P.000"
"""


def test_a_toml_file_describes_a_metric(program, tmp_path):
    (tmp_path / "level.toml").write_text(TOML)
    metric = read_metric(str(tmp_path / "level.toml"))
    assert (metric.name, metric.unit, metric.better, metric.value_range) == ("level", "steps", "lower", "0 to 32768")
    assert (metric.input_format, metric.source) == ("at 16 kHz, channels averaged", "ITU-T P.000")
    assert answer(metric).status == "ok"
    assert with_timeout(metric, 3.0).function.timeout == 100
    assert read_metric(f"other={tmp_path / 'level.toml'}").name == "other"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("comand = 'x'", "comand is unknown; did you mean command?"),
        ("better = 'more'", "better='more' of level is not one of higher, lower"),
        ("range = [1]", r"range = \[1\] is not possible; write e.g. range = \[1, 5\]"),
        ("files = ['none']", "files: .*none does not exist"),
        ("sample_type = 'PCM_8'", "sample_type = 'PCM_8' is not possible; choose from PCM_16, PCM_24, FLOAT"),
        ("pattern = '('", r"pattern '\(' is no regular expression"),
        ("unit = 3", "unit = 3 is not possible; write a text in quotes"),
        ("x", "Expected '='"),
    ],
)
def test_a_mistake_in_a_toml_file_is_one_line_that_names_it(tmp_path, line, says):
    file = tmp_path / "level.toml"
    file.write_text(f"command = 'x {{decoded}}'\n{line}\n")
    with pytest.raises(UserError, match=f"^--metric {file}:? .*{says}") as caught:
        read_metric(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["mine", "=x {decoded}", "my metric=x {decoded}", "mine=x {reference}", "mine=x"])
def test_an_invalid_option_is_refused_with_the_form(text):
    with pytest.raises(UserError, match=r"^--metric .*write NAME=PROGRAM {reference} {decoded}"):
        read_metric(text)


def test_a_command_without_a_reference_needs_none():
    assert not read_metric("mine=x {decoded}").needs_reference
    assert read_metric("mine=x {reference} {decoded}").needs_reference


def test_a_command_is_registered_from_python():
    registry.register_metric("frames", "wc -c < {decoded}", better="lower", unit="bytes")
    assert score(noise(), noise(), 48000, "frames")["frames"] == Score(44 + 2 * 4800)


def test_a_run_keeps_scores_until_the_program_changes_and_later_commands_know_the_direction(program, tmp_path):
    write(tmp_path / "audio" / "a.wav", noise(1, 16000), 16000)
    (tmp_path / "level.toml").write_text(TOML)
    run = tmp_path / "run"
    registry.add(read_metric(str(tmp_path / "level.toml")))
    plan = runner.Plan(
        audio_dir=tmp_path / "audio", systems=(parse("mp3@64"),), metrics=("level",), run=run,
        format=ReferenceFormat(), speech=(), jobs=0, command="",
    )  # fmt: skip
    first = runner.run(plan).scores["value"][0]
    assert runner.run(plan).computed == 0
    program.write_text(PROGRAM.replace("mean()", "mean() * 2"))
    arguments = ["compare", *map(str, (tmp_path / "audio", "-s", "mp3@64", "-o", run, "-j", 1))]
    done = CliRunner().invoke(cli, [*arguments, "-m", "level", "--metric", str(tmp_path / "level.toml")])
    assert pd.read_parquet(run / "scores.parquet")["value"][0] == pytest.approx(2 * first)
    assert "level: its program, pattern or version changed since the last run; scored again" in done.output
    registry._METRICS.pop("level")
    assert "level" in CliRunner().invoke(cli, ["tables", str(run), "--format", "csv"]).output
    assert registry.find("level").better == "lower"
    done = CliRunner().invoke(cli, [*arguments, "-m", "level"])
    assert "level: unavailable: the run got it by --metric or register_metric; define it again" in str(done.exception)
