"""Commands in forks of the test process behave as programs of their own."""

from __future__ import annotations

import atexit
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from multiprocessing import resource_tracker

import pytest

import earmark.cli

from .forks import started


def ended(main: Callable[[], object]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command that does `main`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = started(before=lambda: setattr(earmark.cli, "main", main), text=True, **pipes)
    said = process.communicate(timeout=60)
    return process.returncode, *said


def test_warnings_and_log_lines_are_printed():
    """Also those that this process has recorded before, as pytest does for each test."""

    def warn() -> None:
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("earmark").warning("a line")

    with pytest.warns(match="a warning"):
        warn()
    status, printed, errors = ended(warn)
    assert (status, printed) == (0, "")
    assert "UserWarning: a warning\n" in errors
    assert errors.endswith("\na line\n")


@pytest.mark.parametrize(
    ("code", "status", "errors"), [(None, 0, ""), (0, 0, ""), (3, 3, ""), ("no such file", 1, "no such file\n")]
)
def test_the_status_is_that_of_a_program(code: object, status: int, errors: str):
    assert ended(lambda: sys.exit(code)) == (status, "", errors)


def test_an_error_is_printed_and_gives_1():
    status, printed, errors = ended(lambda: 1 // 0)
    assert (status, printed) == (1, "")
    assert errors.endswith("ZeroDivisionError: integer division or modulo by zero\n")


def test_closed_streams_do_not_change_the_status():
    assert ended(lambda: (sys.stdout.close(), sys.stderr.close())) == (0, "", "")


def test_what_is_registered_for_the_end_is_done_and_nothing_of_the_parent():
    parents = atexit.register(lambda: print("the parent's"))
    try:
        assert ended(lambda: atexit.register(print, "done")) == (0, "done\n", "")
    finally:
        atexit.unregister(parents)


def test_the_commands_start_processes_although_the_parent_has_some():
    """Python keeps one process that tracks shared resources, and takes an inherited one for its own."""
    resource_tracker.ensure_running()
    assert ended(resource_tracker.ensure_running) == (0, "", "")
