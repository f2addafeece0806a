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


def test_columns_that_do_not_fit_a_terminal_follow_below(monkeypatch: pytest.MonkeyPatch):
    """Columns of 7 and 12 characters and four of 14: 7 + 12 + 4 x 14 = 75 fit into 76, not into 50."""
    headings = ("first", "second", *(f"number {index:5}" for index in range(4)))
    grid = Grid("Title", headings, (("x", "longer one", *"1234"),), left=2)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for columns, blocks in ((76, 1), (50, 2)):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = text(grid).splitlines()
        assert max(map(len, lines)) <= columns
        assert sum("longer one" in line for line in lines) == blocks
        assert all(f"number {index:5}" in "\n".join(lines) for index in range(4))


def test_a_width_bounds_the_lines_of_a_file_too():
    headings = ("first", *(f"number {index}" for index in range(30)))
    grid = Grid("Title", headings, (("x", *map(str, range(30))),), ("A note of many words. " * 9,))
    lines = text(grid, 120).splitlines()
    assert max(map(len, lines)) <= 120
    assert all(f"number {index}" in "\n".join(lines) for index in range(30))
