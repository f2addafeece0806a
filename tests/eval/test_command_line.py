"""`earmark compare` and related commands as a user runs them: one line per mistake, and the exit status."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earmark.codec import audio
from earmark.eval.comparison import records

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--systems", "opus@3"], "opus@3: Opus starts at 6 kbps; try opus@6"),
        (["--systems", "mp3@65"], "try mp3@64"),
        (["--systems", "flac@9"], "there is no codec 'flac'"),
        (["--systems", "opus@6", "--metrics", "mos"], "--metrics: there is no metric 'mos'"),
        (["--systems", "opus@6", "--jobs", "0"], "--jobs"),
        (["--systems", "opus@6", "--rate", "1000"], "--rate"),
        ([], "--systems"),
    ],
)
def test_a_wrong_option_is_one_line(earmark, corpus_dir, tmp_path, arguments, says):
    done = earmark("compare", corpus_dir, "--out", tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("earmark: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_missing_or_empty_folder_is_one_line(earmark, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, says in (("nowhere", "does not exist"), ("empty", "no recordings in it")):
        done = earmark("compare", tmp_path / folder, "--systems", "opus@6", "--out", tmp_path / "run")
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_help_imports_neither_torch_nor_flask_nor_pandas():
    program = (
        "import sys, click.testing, earmark.cli\n"
        "result = click.testing.CliRunner().invoke(earmark.cli.cli, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "assert 'compare' in result.output and 'study' in result.output\n"
        "heavy = {'torch', 'flask', 'pandas', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_scoring_workers_import_neither_pandas_nor_torch_nor_matplotlib():
    program = (
        "import sys, earmark.eval.comparison.work\n"
        "heavy = {'torch', 'flask', 'pandas', 'matplotlib', 'visqol', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_run_with_a_bad_file_finishes_and_says_so_in_its_status(earmark, corpus_dir, tmp_path):
    (corpus_dir / "music" / "text.wav").write_text("not audio")
    run = tmp_path / "run"
    arguments = ("compare", corpus_dir, "--systems", "opus@12,mp3@64", "--metrics", "si_snr", "--out", run)
    done = earmark(*arguments)
    assert done.returncode == 1
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert "music/text.wav: not readable as audio" in failed[0]
    scores = pd.read_parquet(run / "scores.parquet")
    assert (scores[scores.file != "music/text.wav"].status == "ok").all()
    page = (run / "report.html").read_text()
    assert "text.wav" in page
    assert "not readable as audio" in page
    for name in ("table.md", "table.csv", "table.tex"):
        assert "opus@12" in (run / name).read_text()

    for form, mark in (("markdown", "| opus@12 |"), ("latex", r"\toprule"), ("csv", "opus@12,"), ("text", "opus@12")):
        table = earmark("tables", run, "--format", form)
        assert table.returncode == 0
        assert mark in table.stdout

    (corpus_dir / "music" / "text.wav").unlink()
    again = earmark(*arguments)
    assert again.returncode == 0
    assert "3 recordings x 2 systems: 0 computed, 6 reused, 0 failed" in again.stdout


def test_killed_in_the_middle_it_goes_on_where_it_stopped(corpus_dir, tmp_path):
    """SIGKILL to the whole process group, then the same command: stored records are not computed again."""
    for number in range(60):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, (1, 96000)).astype(np.float32)
        audio.write(corpus_dir / "music" / f"more-{number}.wav", noise, 48000)
    run = tmp_path / "run"
    command = [sys.executable, "-m", "earmark", "compare", str(corpus_dir), "--systems", "opus@12",
               "--metrics", "si_snr,stoi", "--out", str(run), "--jobs", "1"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(run.glob("records/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = records.read(run)
    assert kept
    known = {path: path.stat().st_mtime_ns for path in run.glob("audio/*/**/*.wav")}
    assert not (run / "scores.parquet").exists()

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "63 recordings x 1 system: " in done.stdout
    scores = pd.read_parquet(run / "scores.parquet")
    assert (scores.status == "ok").all()
    redone = [path for path, stamp in known.items() if path.stat().st_mtime_ns != stamp]
    assert len(redone) == len(known) - len(kept)


def test_a_full_disk_ends_the_run_with_one_line(corpus_dir, tmp_path):
    """A file size limit of 64 KiB stands in for a full disk."""
    command = [sys.executable, "-m", "earmark", "compare", str(corpus_dir), "--systems", "opus@12",
               "--metrics", "si_snr", "--out", str(tmp_path / "run")]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )  # fmt: skip
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("earmark: ")]
    assert len(lines) == 1
    assert "cannot be written" in lines[0]
    assert "Traceback" not in done.stderr


def test_surround_and_nan_files_name_themselves(earmark, corpus_dir, tmp_path):
    soundfile.write(corpus_dir / "music" / "surround.wav", np.zeros((4800, 6)), 48000)
    soundfile.write(corpus_dir / "music" / "nan.wav", np.full((4800, 1), np.nan), 48000, subtype="FLOAT")
    done = earmark("compare", corpus_dir, "--systems", "opus@12", "--metrics", "si_snr", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "music/surround.wav: 6 channels" in done.stderr
    assert "music/nan.wav: 4800 NaN or infinite samples" in done.stderr


def test_systems_lists_what_is_here(earmark):
    done = earmark("systems")
    assert done.returncode == 0
    for text in ("opus@12", "libopus 1.", "LAME3.", "anchor@3.5k"):
        assert text in done.stdout


def test_a_run_accumulates(earmark, corpus_dir, tmp_path):
    """A command adds to a run and hides nothing."""
    arguments = ("compare", corpus_dir, "--out", tmp_path / "run")
    earmark(*arguments, "--systems", "opus@12", "--metrics", "si_snr,si_sdr")
    more = earmark(*arguments, "--systems", "mp3@64", "--metrics", "si_snr")
    assert "also has opus@12; `earmark run drop` removes a system, --replace starts over" in more.stderr
    assert "3 recordings x 1 system: 3 computed, 0 reused, 0 failed" in more.stdout
    for name in ("opus@12", "mp3@64"):
        assert name in more.stdout
        assert name in (tmp_path / "run" / "report.html").read_text()
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert scores.groupby("system", sort=False)["metric"].nunique().to_dict() == {"opus@12": 2, "mp3@64": 1}
