"""CSV without formulas, so that opening it in a spreadsheet does not execute text that a listener typed."""

from __future__ import annotations

import re

import pandas as pd

# Positions where a spreadsheet would see a formula: the start of a cell, and after a character that ends a cell in a
# spreadsheet that expects semicolons and ignores our commas and quotes.
FORMULA = re.compile(r"^(?=[=+\-@\t\r\n＝＋－＠])|(?<=[;\t\r\n])(?=[=+\-@＝＋－＠])")


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV, with an apostrophe before any text that begins like a formula."""
    table = table.copy()
    for column in table.select_dtypes(exclude=["number", "bool"]):
        table[column] = table[column].map(_without_formula)
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def _without_formula(cell: object) -> object:
    return FORMULA.sub("'", cell) if isinstance(cell, str) else cell
