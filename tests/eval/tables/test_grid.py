"""Grids of text."""

from __future__ import annotations

import sys

import pytest

from earmark.eval.tables.grid import Grid, text


def test_a_grid_fits_a_narrow_terminal_and_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    names = ("encodec_24khz_hf@24", "encodec_24khz@12:lm")
    numbers = ("12", "-1.23", "-1.75 to -0.81", "100 %", "1.000")
    headings = ("Category", "System", "against", "files", "difference", "95 % interval", "wins", "p")
    grid = Grid("Title", headings, (("speech", *names, *numbers),), ("A note of many words. " * 9,), left=3)
    assert max(map(len, text(grid).splitlines())) > 80
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = text(grid).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(number in "\n".join(lines) for number in numbers)
