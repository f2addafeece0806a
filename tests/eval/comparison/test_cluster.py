"""The same run on a Dask cluster of separate worker processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.cluster import run_on_cluster
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.run_folder import read_scores
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables import renderers as tables

distributed = pytest.importorskip("distributed")
COPY = "cp {input} {bitstream} && cp {bitstream} {output}"  # a codec
MEASURED = ["encode_seconds", "decode_seconds"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers, each a process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def mark_and_square(task: tuple[int, Path]) -> int:
    """Square a number; the first task of number 5 kills its process."""
    number, folder = task
    if number == 5 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return number * number


@pytest.fixture
def plan(corpus_dir, tmp_path) -> runner.Plan:
    return runner.Plan(
        audio_dir=corpus_dir, systems=tuple(parse_list("opus@12,anchor@3.5k")), metrics=("si_snr", "stoi"),
        run=tmp_path / "one", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
    )  # fmt: skip


def table(result: runner.Result) -> str:
    """The printed table of a run, without the times."""
    summary = summarise(result.scores.drop(columns=MEASURED).assign(encode_seconds=1.0, decode_seconds=1.0))
    return tables.markdown(summary, result.info)


def test_one_process_two_processes_and_a_cluster_give_the_same_table(address, plan, tmp_path):
    alone = runner.run(plan)
    for run, how in (("two", {"jobs": 2}), ("many", {"cluster": address})):
        other = runner.run(replace(plan, run=tmp_path / run, **how))
        assert other.computed == 6
        pd.testing.assert_frame_equal(other.scores.drop(columns=MEASURED), alone.scores.drop(columns=MEASURED))
        assert table(other) == table(alone)


def kill_when_busy(address: str, run: Path, files: int) -> int:
    """Kill a worker of the cluster after `count` decoded recordings; returns their number."""
    with distributed.Client(address, set_as_default=False) as client:
        victim = next(iter(client.run(os.getpid).values()))
    deadline = time.monotonic() + 60
    while (done := len(list(run.glob("audio/opus@12/**/*.wav")))) < files and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(victim, signal.SIGKILL)
    return done


def test_a_run_whose_worker_is_killed_has_the_same_table(address, plan, tmp_path):
    for number in range(15):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, (1, 48000)).astype(np.float32)
        audio.write(plan.audio_dir / "speech" / f"{number}.wav", noise, 48000)
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_when_busy, address, tmp_path / "many", 3)
        together = runner.run(replace(plan, run=tmp_path / "many", cluster=address))
        assert 3 <= killing.result() < 18  # in the middle
    assert together.failures == []
    assert together.computed == 2 * 18
    alone = runner.run(plan)
    assert table(together) == table(alone)
    pd.testing.assert_frame_equal(together.scores.drop(columns=MEASURED), alone.scores.drop(columns=MEASURED))


def test_a_worker_that_is_killed_loses_nothing(address, tmp_path):
    tasks = [(number, tmp_path) for number in range(40)]
    results = dict(run_on_cluster(mark_and_square, tasks, address, lambda task: -1))
    assert (tmp_path / "killed").exists()
    assert results == {(number, tmp_path): number * number for number in range(40)}


def wait_and_answer(number: int) -> int:
    time.sleep(0.1)
    return number


def evs_folder(_: int) -> str | None:
    return os.environ.get("EARMARK_EVS_DIR")


def test_the_settings_of_each_command_reach_the_workers_and_end_with_it(address, monkeypatch):
    """The workers were started before either command."""

    def found() -> list[str | None]:
        return [answer for _, answer in run_on_cluster(evs_folder, range(8), address, lambda task: "")]

    monkeypatch.setenv("EARMARK_EVS_DIR", "programs")
    assert found() == ["programs"] * 8
    monkeypatch.delenv("EARMARK_EVS_DIR")
    assert found() == [None] * 8


def test_a_codec_of_the_users_own_is_compared_on_a_cluster(address, corpus_dir, tmp_path, earmark):
    done = earmark(
        "compare", corpus_dir, "--systems", "opus@12", "--system", f"mine={COPY}", "--system",
        "slow=sleep 9; cp {input} {bitstream} && cp {bitstream} {output}", "--timeout", 2, "--metrics", "stoi",
        "--cluster", address, "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr  # because of the slow codec
    assert "slow: its encoder hung and was ended after 2 s (music/b.wav and 2 more)" in done.stderr
    scores = read_scores(tmp_path / "run")
    assert (scores.loc[scores["system"] == "mine", "value"] > 0.999).all()  # a copy, except for 16-bit quantisation
    assert set(scores.loc[scores["status"] == "error", "system"]) == {"slow"}


def test_a_scheduler_that_goes_away_is_one_line():
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as cluster:
        running = run_on_cluster(wait_and_answer, range(100), cluster.scheduler_address, lambda task: -1)
        assert next(running)[1] in range(100)
    with pytest.raises(
        UserError, match=r"^--cluster \S+: the scheduler is gone; start it, and run this again; finished work"
    ):
        list(running)


def test_no_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr("earmark.eval.comparison.cluster.CONNECT_SECONDS", 1)
    with pytest.raises(UserError, match=r"--cluster tcp://127\.0\.0\.1:9: no scheduler answers there"):
        list(run_on_cluster(mark_and_square, [], "tcp://127.0.0.1:9", lambda task: -1))
