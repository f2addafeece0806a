"""CSV without formulas and hidden characters, so that opening it does not execute or disguise what a listener typed."""

from __future__ import annotations

import re

import pandas as pd

from earmark.codec.text import printable

# Positions where a spreadsheet would see a formula: the start of a cell, and after a character that ends a cell in a
# spreadsheet that expects semicolons and ignores our commas and quotes.
FORMULA = re.compile(r"^(?=[=+\-@\t\r\n＝＋－＠])|(?<=[;\t\r\n])(?=[=+\-@＝＋－＠])")


# Control characters but tab and line breaks, and marks that change the direction of text: they act on a terminal or
# hide what a cell says.
HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV, with an apostrophe before text that begins like a formula, and hidden characters escaped."""
    table = table.copy()
    for column in table.select_dtypes(exclude=["number", "bool"]):
        table[column] = table[column].map(_without_formula)
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def _without_formula(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return HIDDEN.sub(lambda found: printable(found[0]), FORMULA.sub("'", cell))
