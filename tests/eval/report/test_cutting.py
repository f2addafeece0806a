"""Excerpts that worker processes cut while the main process goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earmark.codec import audio
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.run_folder import audio_path
from earmark.eval.report import cutting, excerpts
from earmark.eval.report.choice import choices

RATE = 16_000
FILES, SYSTEMS = ("a.wav", "b.wav", "c.wav"), ("reference", "opus@6", "opus@12")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two processes that have done something."""
    with Workers(2) as processes:
        assert dict(processes.run(abs, [-1, -2], abs)) == {-1: 1, -2: 2}
        yield processes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(0, 0.05, (len(FILES), len(SYSTEMS), 1, RATE)).astype(np.float32)
    for file, signals in zip(FILES, noise, strict=True):
        for system, signal_ in zip(SYSTEMS, signals, strict=True):
            audio.write(audio_path(tmp_path, system, file), signal_, RATE)
    return tmp_path


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.DataFrame([
        {"file": file, "category": "speech", "system": system, "metric": "visqol", "value": 4.0 - number - 0.1 * column,
         "status": "ok", "kbps": 6.0 * column}
        for number, file in enumerate(FILES) for column, system in enumerate(SYSTEMS)
    ])  # fmt: skip


def cut(run: Path, scores: pd.DataFrame, workers: Workers | None) -> list[excerpts.Excerpt]:
    return excerpts.begin(run, scores, choices(scores, "visqol"), "visqol", workers=workers).wait()


def test_workers_cut_the_same_as_this_process(run, scores, workers):
    own = cut(run, scores, None)
    assert [len(excerpt.clips) for excerpt in own] == [3, 3, 3]
    assert cut(run, scores, workers) == own


@pytest.mark.parametrize("in_workers", [False, True])
def test_audio_that_cannot_be_read_is_one_line_and_costs_no_other_player(run, scores, workers, capsys, in_workers):
    audio_path(run, "opus@6", "b.wav").write_bytes(b"no audio")
    kept = cut(run, scores, workers if in_workers else None)
    assert sorted(excerpt.choice.file for excerpt in kept) == ["a.wav", "c.wav"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("failed: report: no player for b.wav: LibsndfileError: ")
    assert "opus@6" in line


def test_workers_cut_once_more_what_is_too_large_without_what_failed(run, scores, workers, monkeypatch, capsys):
    """All other pieces get the same shorter length."""
    audio_path(run, "opus@6", "b.wav").write_bytes(b"no audio")
    monkeypatch.setattr(excerpts, "SHORTEST", 0.2)
    chosen = choices(scores, "visqol")
    whole = excerpts.begin(run, scores, chosen, "visqol", longest=1.0).wait()
    assert [excerpt.seconds for excerpt in whole] == [1.0, 1.0]
    limit = {"longest": 1.0, "budget": sum(excerpt.size for excerpt in whole) * 3 // 4}
    own = excerpts.begin(run, scores, chosen, "visqol", **limit).wait()
    assert {round(excerpt.seconds, 2) for excerpt in own} == {0.71}  # 0.95 * 3/4 of 1 s
    begun = excerpts.begin(run, scores, chosen, "visqol", workers=workers, **limit)
    assert begun.wait() == own
    assert list(begun.failures) == ["b.wav"]
    assert len(capsys.readouterr().err.splitlines()) == 3  # one for each call of `begin`


def wait_for_ever(piece: cutting.Piece) -> str:
    piece.source.with_suffix(".begun").touch()
    time.sleep(300)
    return "too late"


def test_an_interrupt_ends_workers_that_are_cutting(run, scores, monkeypatch):
    monkeypatch.setattr(excerpts.cutting, "attempt", wait_for_ever)
    processes = []

    def interrupted() -> None:
        with Workers(1) as workers:
            assert list(workers.run(abs, [-1], abs)) == [(-1, 1)]
            excerpts.begin(run, scores, choices(scores, "visqol"), "visqol", workers=workers)
            processes.extend(workers._workers[0].processes)
            until = time.monotonic() + 60
            while not list(run.rglob("*.begun")):
                assert time.monotonic() < until
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (process,) = processes
    assert not process.is_alive()


def test_cutting_imports_no_pandas():
    code = "import sys, earmark.eval.report.cutting; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def die_on_b(piece: cutting.Piece) -> cutting.Cut | str:
    if piece.source.name == "b.wav":
        os.kill(os.getpid(), signal.SIGKILL)
    return cutting.attempt(piece)


def test_a_worker_that_is_killed_costs_no_other_player(run, scores, workers, capsys, monkeypatch):
    own = {excerpt.choice.file: excerpt for excerpt in cut(run, scores, None)}
    monkeypatch.setattr(excerpts.cutting, "attempt", die_on_b)
    kept = {excerpt.choice.file: excerpt for excerpt in cut(run, scores, workers)}
    assert kept == {file: excerpt for file, excerpt in own.items() if file != "b.wav"}
    assert "no player for b.wav: the worker process died" in capsys.readouterr().err


def test_an_empty_file_and_a_missing_url_are_reasons(tmp_path):
    upath = pytest.importorskip("upath")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    assert cutting.attempt(cutting.Piece(tmp_path / "empty.wav", (), 1.0)).endswith("empty.wav: no samples")
    missing = cutting.attempt(cutting.Piece(upath.UPath("memory://run/a.wav"), (), 1.0))
    assert missing.startswith("UserError: memory://run/a.wav: ")


def test_a_fault_of_earmark_itself_is_no_missing_player(run, scores, monkeypatch):
    def fault(samples: object, rate: int) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(cutting.spectrograms, "levels", fault)
    with pytest.raises(ZeroDivisionError, match="ours"):
        cut(run, scores, None)
