"""A small crowd completes sessions on two gunicorn workers while the server is killed; see benchmarks/crowd.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.crowd import Load, Server, check, crowd, too_slow, write_study

LOAD = Load(listeners=12, items=6, annotations=6, trials=3, think=0.6, kills=1, stimuli=False, vanish=0.0, stop=0.05,
            bad=0.1)  # fmt: skip


@pytest.mark.parametrize(("late", "missed"), [(0.099, False), (0.1, True), (0.2, True)])
def test_the_benchmark_fails_if_one_rating_in_a_hundred_is_late(late: float, missed: bool):
    """The 99th percentile of 101 sorted values is the hundredth; two are late."""
    problems = too_slow([0.01] * 99 + [late] * 2)
    assert [problem.startswith("missed: ") for problem in problems] == [True] * missed


def test_a_crowd_survives_the_death_of_its_server(tmp_path: Path):
    pytest.importorskip("gunicorn")
    study = write_study(tmp_path, LOAD)
    server = Server(tmp_path, None, LOAD)
    try:
        server.wait()
        seen = asyncio.run(crowd(server, LOAD, seed=1))
    finally:
        server.kill()
    assert check(f"sqlite:///{tmp_path / 'ratings.sqlite'}", study, seen) == []
    assert len(seen.acknowledged) >= 6 * 6
    assert seen.lost_connections > 0  # the server was killed during requests
    assert b"Traceback" not in (tmp_path / "server.log").read_bytes()
