"""The same run on a Dask cluster of separate worker processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from baselines.systems import parse_list
from codec.errors import UserError
from eval import runner
from eval.cluster import run_on_cluster
from eval.corpus import SPEECH_PATTERNS, ReferenceFormat

distributed = pytest.importorskip("distributed")
MEASURED = ["encode_seconds", "decode_seconds"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers, each a process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def mark_and_square(task: tuple[int, Path]) -> int:
    """The first to reach number 5 takes its process along."""
    number, folder = task
    if number == 5 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return number * number


def test_a_cluster_and_one_process_give_the_same_table(address, corpus_dir, tmp_path):
    plan = runner.Plan(
        audio_dir=corpus_dir, systems=tuple(parse_list("opus@12,anchor@3.5k")), metrics=("si_snr", "stoi"),
        run=tmp_path / "one", form=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
    )  # fmt: skip
    alone = runner.run(plan).scores
    together = runner.run(replace(plan, run=tmp_path / "many", cluster=address))
    assert together.computed == 6
    pd.testing.assert_frame_equal(together.scores.drop(columns=MEASURED), alone.drop(columns=MEASURED))


def test_a_worker_that_is_killed_loses_nothing(address, tmp_path):
    tasks = [(number, tmp_path) for number in range(40)]
    results = dict(run_on_cluster(mark_and_square, tasks, address, lambda task: -1))
    assert (tmp_path / "killed").exists()
    assert results == {(number, tmp_path): number * number for number in range(40)}


def test_no_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr("eval.cluster.CONNECT_SECONDS", 1)
    with pytest.raises(UserError, match=r"--cluster tcp://127\.0\.0\.1:9: no scheduler answers there"):
        list(run_on_cluster(mark_and_square, [], "tcp://127.0.0.1:9", lambda task: -1))
