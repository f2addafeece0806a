"""Long names fold at their seams, and a table of them fits a terminal of 80 columns."""

from __future__ import annotations

import sys

import pytest

from earmark.eval.tables import grid
from earmark.eval.tables.folding import LEAST, column_limit, fold
from earmark.eval.tables.grid import Grid


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("opus@12", 10, ["opus@12"]),
        ("encodec_24khz@3:lm", 13, ["encodec_24khz", "@3:lm"]),
        ("opus@12:complexity=10", 12, ["opus@12", ":complexity=", "10"]),
        ("against the other", 11, ["against the", "other"]),
        ("model.safetensors", 10, ["model.safe", "tensors"]),  # no seam: at the width
    ],
)
def test_a_name_folds_at_its_seams(text: str, width: int, lines: list[str]):
    assert fold(text, width).splitlines() == lines


def test_only_the_wide_columns_give_way():
    assert column_limit([5, 30, 20], 60) == 30  # all fit
    assert column_limit([5, 30, 20], 45) == 20  # 5 + 20 + 20
    assert column_limit([5, 30, 20], 1) == LEAST


def test_a_table_of_long_names_fits_80_columns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    name = "encodec_24khz@3:lm:checkpoint=trainings/first/model.safetensors"
    row = ("speech", name, "opus@12", "120", "+0.12", "−0.12 to +0.34", "60 %", "0.034 *")
    headings = ("Category", "System", "against", "files", "difference", "95 % interval", "wins", "p")
    text = grid.text(Grid("Title", headings, (row,), left=3))
    assert max(map(len, text.splitlines())) <= 80
    lines = [line for line in text.splitlines() if line.startswith(("speech", "         "))]
    assert name in "".join(line[10:].partition(" ")[0] for line in lines)
