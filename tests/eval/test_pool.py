"""Tasks over processes, one of which may die."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from codec.errors import WriteError
from eval.pool import run_tasks, usable_cores


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    if number in (3, 4):
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def fail_to_write(number: int) -> int:
    raise WriteError("disk is full")


def leave_a_mark(path: Path) -> bool:
    path.touch()
    return True


def test_every_task_has_its_result():
    assert sorted(run_tasks(square, range(20), 2, square)) == [(n, n * n) for n in range(20)]
    assert list(run_tasks(square, [], 2, square)) == []


def test_a_process_that_dies_costs_only_its_own_task():
    """Crashes in native code and the kernel's out-of-memory killer look like this."""
    results = dict(run_tasks(square_or_die, range(10), 2, lambda number: -number))
    assert results == {n: -n if n in (3, 4) else n * n for n in range(10)}


def test_a_disk_that_is_full_ends_the_run():
    with pytest.raises(WriteError, match="disk is full"):
        list(run_tasks(fail_to_write, range(5), 2, square))


def test_leaving_early_stops_handing_out_tasks(tmp_path):
    results = run_tasks(leave_a_mark, [tmp_path / str(n) for n in range(200)], 1, bool)
    next(results)
    results.close()
    assert len(list(tmp_path.iterdir())) < 200


def test_there_is_a_core():
    assert usable_cores() >= 1
