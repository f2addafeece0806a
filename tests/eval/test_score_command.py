"""`earmark score`: two files give one line per metric, with what alignment and conversion did."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from earmark.cli import cli
from earmark.codec.audio import read, resample, write
from earmark.eval.scoring import score

from .conftest import coloured_noise


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["score", *map(str, arguments)], standalone_mode=False)


def records(*arguments: object) -> list[dict[str, str]]:
    done = run(*arguments, "--format", "csv")
    assert done.return_value == 0, done.output
    return list(csv.DictReader(io.StringIO(done.output)))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """1.5 s at 16 kHz, and the same 5 samples late with 10 % noise."""
    clean = coloured_noise(1.5, 16000, seed=1)
    noisy = np.roll(clean, 5, axis=-1) + 0.1 * coloured_noise(1.5, 16000, seed=2)
    write(tmp_path / "speech_a.wav", clean, 16000)
    write(tmp_path / "decoded.wav", noisy, 16000)
    return tmp_path / "speech_a.wav", tmp_path / "decoded.wav"


def test_two_files_give_the_numbers_of_the_python_function(pair):
    reference, decoded = pair
    arrays = [read(path).samples for path in pair]
    expected = score(*arrays, 16000, ["si_snr", "stoi"])
    rows = records(reference, decoded, "-m", "si_snr,stoi")
    assert [float(row["value"]) for row in rows] == [expected["si_snr"].value, expected["stoi"].value]
    assert [(row["metric"], row["unit"], row["better"]) for row in rows] == [
        ("si_snr", "dB", "higher"), ("stoi", "", "higher"),
    ]  # fmt: skip
    assert (rows[0]["lag_samples"], rows[0]["lag_ms"]) == ("5", "0.3125")


def test_the_lines_say_what_alignment_and_conversion_did(pair, tmp_path):
    reference, decoded = pair
    fine = resample(read(decoded).samples, 16000, 48000)
    write(tmp_path / "fine.wav", np.concatenate([fine, fine])[:, :-480], 48000)
    done = run(reference, tmp_path / "fine.wav", "-m", "si_snr")
    assert done.return_value == 0
    assert "Alignment: 5 samples (0.31 ms) late, removed." in done.output
    assert "resampled from 48 kHz to 16 kHz." in done.output
    assert "converted from stereo to mono." in done.output
    assert "10 ms shorter than the reference; scored where it is there." in done.output


def test_polarity_level_and_marks_are_told(pair, tmp_path):
    """Half the level is 20 log10(0.5) = -6.02 dB."""
    reference, decoded = pair
    write(tmp_path / "other.wav", -0.5 * read(decoded).samples, 16000)
    done = run(reference, tmp_path / "other.wav", "-m", "si_snr")
    sentence = (
        "Alignment: 5 samples (0.31 ms) late, removed; polarity inverted, corrected; level -6.0 dB, left as it is."
    )
    assert sentence in done.output
    (row,) = records(reference, tmp_path / "other.wav", "-m", "si_snr")
    assert (row["sign"], round(float(row["gain_db"]), 1)) == ("-1", -6.0)


@pytest.mark.parametrize(
    ("mode", "metric"), [("auto", "visqol_speech"), ("speech", "visqol_speech"), ("audio", "visqol_audio")]
)
def test_the_mode_is_that_of_the_category_or_the_option(pair, mode, metric):
    """The prefix of speech_a.wav is its category."""
    assert records(*pair, "-m", "visqol", "--mode", mode)[0]["metric"] == metric


def test_a_score_without_a_value_says_why_and_a_failed_one_ends_with_1(pair):
    reference, decoded = pair
    write(decoded, np.zeros((1, 24000), np.float32), 16000)
    done = run(reference, decoded, "-m", "si_snr", "--format", "json")
    assert done.return_value == 0
    (only,) = json.loads(done.output)
    assert (only["value"], only["status"], only["reason"]) == (None, "undefined", "the decoded signal is silent")
    write(decoded, coloured_noise(1.5, 16000), 16000)
    done = run(reference, decoded, "-m", "si_snr", "--metric", "mine=echo {decoded}; exit 3")
    assert done.return_value == 1
    assert "mine: error: its command failed with status 3: decoded.wav." in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.wav"], "score: 1 path; write earmark score REFERENCE DECODED"),
        (["a.wav", "text.wav"], "text.wav: not readable as audio"),
        (["a.wav", "none.wav"], "none.wav does not exist"),
        (["a.wav", "a.wav", "-m", "mos"], "--metrics: there is no metric 'mos'"),
        (["a.wav", "a.wav", "--metric", "x=nosuch {decoded}"], "x: unavailable: there is no program nosuch"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    write(Path("a.wav"), coloured_noise(1.0, 16000), 16000)
    Path("text.wav").write_text("not audio")
    done = run(*arguments)
    assert done.exit_code != 0
    assert says in f"{done.exception} {done.stderr}"


def test_si_snr_of_two_files_loads_no_heavy_library(pair):
    """That is what takes seconds."""
    program = (
        "import sys, earmark.cli\n"
        f"sys.argv = ['earmark', 'score', {str(pair[0])!r}, {str(pair[1])!r}, '-m', 'si_snr']\n"
        "try: earmark.cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*{'torch', 'flask', 'pandas', 'matplotlib', 'visqol', 'numba'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
