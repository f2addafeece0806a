"""External programs: run in a folder of their own, ended when they hang, and heard out in one line when they fail."""

from __future__ import annotations

import math
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from earmark.codec.errors import UserError

VARIABLE = "EARMARK_TIMEOUT"  # seconds; in the environment, where the processes that do the work find it too
PATIENCE_SECONDS = 60.0  # for start-up
PATIENCE_PER_SECOND = 30.0  # for each second of audio
_running: set[int] = set()  # process groups
SHELL_SIGNALS = 128  # to which a shell adds the number of the signal that ended its command


def patience(seconds: float) -> float:
    """How many seconds a program may take for `seconds` of audio before it is taken to hang.

    Raises:
        UserError: the environment's own limit is no number of seconds.
    """
    limit = os.environ.get(VARIABLE)
    if limit is None:
        return PATIENCE_SECONDS + PATIENCE_PER_SECOND * seconds
    try:
        chosen = float(limit)
    except ValueError:
        chosen = math.nan
    if not 0 < chosen < math.inf:
        raise UserError(f"{VARIABLE}={limit}: not a number of seconds; unset it, or name one, e.g. 600")
    return chosen


def run(command: Sequence[str], folder: Path, timeout: float, name: str, program: str | None = None) -> str:
    """Run a program to its end in `folder` and return what it printed.

    Args:
        timeout: seconds after which it, and all that it started, is ended.
        name: of the system, for messages.
        program: what messages call the program; the name of its file unless told.

    Raises:
        UserError: it cannot be started, fails, crashes or hangs.
    """
    program = program or Path(command[0]).name
    try:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{name}: {program} does not start ({reason}); is it built for this machine?") from error
    _running.add(process.pid)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise UserError(f"{name}: {program} hung and was ended after {timeout:g} s") from None
    finally:
        _end(process)
    if process.returncode:
        raise UserError(f"{name}: {program} {_how_it_ended(process.returncode)}: {_last_line(output)}")
    return output


def _end(process: subprocess.Popen[str]) -> None:
    """End what is left of the program and of all that it started, which may outlive it."""
    _kill(process.pid)
    process.communicate()
    _running.discard(process.pid)


def end_all() -> None:
    """End all programs of this process, which is about to end without a word to them."""
    for group in list(_running):
        _kill(group)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _how_it_ended(status: int) -> str:
    """In words, also where a shell tells of the signal that ended its command."""
    number = -status if status < 0 else status - SHELL_SIGNALS
    try:
        return f"crashed by {signal.Signals(number).name}"
    except ValueError:
        return f"crashed by signal {number}" if status < 0 else f"failed with status {status}"


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"
