"""Terminals without all characters: the nearest ones are printed, never a traceback or another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..forks import started

RUN = Path(__file__).resolve().parents[1] / "data" / "version-0.1" / "run"
# Encoding of the terminal, what a score looks like there, and what a minus looks like: cp1252 has ± but no U+2212.
CASES = [("ascii", "15.21+/--", "-13.18 to"), ("cp1252", "15.21±–", "-13.18 to"), ("utf-8", "15.21±–", "−13.18 to")]


@pytest.mark.parametrize(("encoding", "score", "interval"), CASES)
@pytest.mark.parametrize("command", ["tables", "differences"])
def test_every_encoding_gets_text(encoding: str, score: str, interval: str, command: str):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = started(command, RUN, "--against", "opus@12", encoding_of_streams=encoding, **pipes)
    printed, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert {"tables": score, "differences": interval}[command] in printed.decode(encoding)


def test_columns_of_a_table_stay_below_each_other_in_ascii():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "earmark", "tables", str(RUN)],
        capture_output=True,
        env=environment,
        check=True,
        text=True,
    )
    separators = [
        [column for column, character in enumerate(line) if character == "|"]
        for line in done.stdout.split("\n\n")[0].splitlines()
        if "|" in line
    ]
    assert "+/-" in done.stdout
    assert len(separators) > 5
    assert all(columns == separators[0] for columns in separators)
