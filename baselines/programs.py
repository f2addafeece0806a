"""External programs: run in a folder of their own, ended if they hang, and reported in one line if they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from earmark.codec.errors import UserError

START_UP_SECONDS = 60.0
SECONDS_PER_SECOND = 30.0  # of audio
MOST_OUTPUT_BYTES = 16 << 20  # that are read of what a program printed
SHELL_SIGNALS = 128  # a shell adds this to the number of the signal that ended its command
_running: set[int] = set()  # process groups


def time_limit(seconds: float, timeout: float | None = None) -> float:
    """Seconds after which a program that works on `seconds` of audio is ended as hung.

    Args:
        timeout: limit that the user set; None for the default.
    """
    return START_UP_SECONDS + SECONDS_PER_SECOND * seconds if timeout is None else timeout


def run(
    command: Sequence[str], folder: Path, timeout: float, name: str, program: str | None = None, *,
    errors_apart: bool = False,
) -> str:  # fmt: skip
    """Run a program to its end in `folder` and return what it printed.

    Args:
        timeout: seconds after which the program and all that it started are ended.
        name: name of the system, for messages.
        program: name of the program in messages; default: the name of its file.
        errors_apart: return standard output only; default: with standard error.

    Raises:
        UserError: it cannot be started, fails, crashes or hangs.
    """
    program = program or Path(command[0]).name
    try:
        status, output, errors = captured(command, folder, timeout, errors_apart=errors_apart)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{name}: {program} does not start ({reason}); is it built for this machine?") from error
    except subprocess.TimeoutExpired:
        raise UserError(f"{name}: {program} hung and was ended after {timeout:g} s") from None
    if status:
        raise UserError(f"{name}: {program} {_how_it_ended(status)}: {_last_line(errors or output)}")
    return output


def captured(
    command: Sequence[str], folder: Path | None, timeout: float, *, errors_apart: bool = False
) -> tuple[int, str, str]:
    """Run a program to its end, whatever it starts.

    Its output goes to temporary files: a pipe would stay open as long as any process that the program started, even one
    that has left the program's process group. Processes still in the group are ended.

    Returns:
        Exit status, standard output, and standard error, "" unless `errors_apart`.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end in time, and was ended.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            stderr=errors if errors_apart else subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        _running.add(process.pid)
        try:
            process.wait(timeout)
        finally:
            _kill(process.pid)
            process.wait()
            _running.discard(process.pid)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read(MOST_OUTPUT_BYTES).decode(errors="replace").replace("\r\n", "\n"))
    return process.returncode, texts[0], texts[1]


def end_all() -> None:
    """End all programs that this process runs, before it exits at once."""
    for group in list(_running):
        _kill(group)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _how_it_ended(status: int) -> str:
    """Describe an exit status, including a shell's status for a command that a signal ended."""
    number = -status if status < 0 else status - SHELL_SIGNALS
    try:
        return f"crashed by {signal.Signals(number).name}"
    except ValueError:
        return f"crashed by signal {number}" if status < 0 else f"failed with status {status}"


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"
