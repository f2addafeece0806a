"""Failures in a few lines: each reason once, for any number of recordings and metrics."""

from __future__ import annotations

import itertools

import pandas as pd
from click.testing import CliRunner

from earmark.cli import cli
from earmark.eval.comparison.failures import SHOWN, failures, grouped_notes, unavailable_metrics

METRICS = ("si_snr", "stoi")


def rows(file: str, system: str, reason: str = "", metrics: tuple[str, ...] = METRICS, decoded: bool = True):
    """Rows of a recording in a system whose metrics failed for a reason."""
    common = {"file": file, "system": system, "duration": 1.0 if decoded else float("nan")}
    broken = {"status": "error", "reason": reason} if reason else {"status": "ok", "reason": ""}
    return [
        common | {"metric": metric} | (broken if metric in metrics else {"status": "ok", "reason": ""})
        for metric in METRICS
    ]


def said(*cells: list[dict[str, object]], unread: dict[str, str] | None = None) -> list[str]:
    info = {"recordings": [{"file": file, "error": error} for file, error in (unread or {}).items()]}
    return failures(pd.DataFrame([*itertools.chain(*cells)]), info)


def test_a_codec_that_fails_is_one_line_for_all_its_recordings_and_metrics():
    broken = [rows(file, "mine", "mine: its encoder crashed by SIGSEGV", decoded=False) for file in "abc"]
    assert said(*broken, rows("a", "opus@6")) == ["mine: its encoder crashed by SIGSEGV (a and 2 more)"]


def test_codecs_and_reasons_have_separate_lines():
    assert said(
        rows("a", "one", "one: no output", decoded=False), rows("b", "one", "died", decoded=False),
        rows("a", "two", "died", decoded=False),
    ) == ["one: no output (a)", "one: died (b)", "two: died (a)"]  # fmt: skip


def test_a_metric_that_fails_is_its_own_line():
    broken = [rows(file, system, "NaN", ("stoi",)) for file in "ab" for system in ("x", "y")]
    assert said(*broken) == ["stoi: NaN (a in x and 3 more)"]


def test_a_recording_that_cannot_be_read_is_one_line_and_not_its_systems():
    reasons = {"a": "in/a: not audio", "b": "the worker process died"}
    cells = [rows(file, system, reasons[file], decoded=False) for file in "ab" for system in ("x", "y")]
    assert said(*cells, rows("c", "x"), unread=reasons) == ["in/a: not audio", "b: the worker process died"]


def test_a_metric_that_cannot_run_here_is_not_a_failure():
    cells = [rows(file, "x", "unavailable: no library", ("stoi",)) for file in "ab"]
    assert said(*cells) == []
    assert unavailable_metrics(pd.DataFrame([*itertools.chain(*cells)])) == ["stoi: unavailable: no library"]


def test_many_reasons_are_cut_to_20_lines():
    """30 recordings, each with a reason of its own."""
    lines = said(*(rows(f"{number}", "x", f"reason {number}", decoded=False) for number in range(30)))
    assert len(lines) == SHOWN == 20
    assert lines[-1] == "and 11 more reasons; the report has them all"


def test_as_a_user_sees_it(corpus_dir, tmp_path):
    """3 recordings, 2 broken codecs and 2 metrics: 12 cells without a score, 2 lines."""
    arguments = ["compare", corpus_dir, "--systems", "anchor@3.5k", "--metrics", "si_snr,stoi", "--jobs", "1"]
    for name, end in (("crash", "kill -SEGV $$"), ("fail", "exit 3")):
        arguments += ["--system", f"{name}={end}; {{input}} {{bitstream}} && cp {{bitstream}} {{output}}"]
    done = CliRunner().invoke(cli, [*map(str, arguments), "--out", str(tmp_path / "run")], standalone_mode=False)
    assert done.return_value == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("failed: ")] == [
        "failed: crash: its encoder crashed by SIGSEGV: it printed nothing (music/b.wav and 2 more)",
        "failed: fail: its encoder failed with status 3: it printed nothing (music/b.wav and 2 more)",
    ]


def test_a_codec_that_cannot_run_here_does_not_affect_the_others(corpus_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path / "nowhere"))
    arguments = ["compare", str(corpus_dir), "--metrics", "si_snr,stoi", "--jobs", "1", "--out", str(tmp_path / "run")]
    both = [*arguments, "--systems", "anchor@3.5k,evs@9.6"]
    refused = CliRunner().invoke(cli, both, standalone_mode=False)
    assert str(refused.exception).startswith("evs@9.6: ")
    assert str(refused.exception).endswith("; or add --keep-going to run the rest")
    assert not (tmp_path / "run").exists()
    done = CliRunner().invoke(cli, [*both, "--keep-going"], standalone_mode=False)
    assert done.return_value == 1
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert failed[0].startswith("failed: evs@9.6: ")
    assert "and 2 more" in failed[0]
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert (scores.status[scores.system == "anchor@3.5k"] == "ok").all()
    assert (scores.status[scores.system == "evs@9.6"] == "error").all()
    assert "evs@9.6" in (tmp_path / "run" / "report.html").read_text()

    alone = CliRunner().invoke(cli, [*arguments, "--systems", "evs@9.6"], standalone_mode=False)
    assert "evs@9.6: " in str(alone.exception)  # nothing else to compare


def test_notes_that_say_the_same_of_many_recordings_are_one_line():
    notes = [f"{name}.wav: 48 kHz, empty above 8 kHz" for name in "abcd"] + ["e.wav: 44.1 kHz, empty above 5 kHz"]
    assert grouped_notes(notes) == [
        "4 recordings (a.wav, b.wav, c.wav ...): 48 kHz, empty above 8 kHz", "e.wav: 44.1 kHz, empty above 5 kHz",
    ]  # fmt: skip
    assert grouped_notes(notes[2:]) == notes[2:]
