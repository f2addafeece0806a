"""Tables as CSV that a spreadsheet opens without running what somebody typed."""

from __future__ import annotations

import re

import pandas as pd

# At the start of a cell; and behind what a spreadsheet may take for the end of one: where it expects semicolons, it
# does not know our commas and quotes.
FORMULA = re.compile(r"^(?=[=+\-@\t\r\n＝＋－＠])|(?<=[;\t\r\n])(?=[=+\-@＝＋－＠])")


def csv_text(table: pd.DataFrame) -> str:
    """CSV in which no spreadsheet finds a formula: what begins like one gets an apostrophe before it."""
    table = table.copy()
    for column in table.select_dtypes(exclude=["number", "bool"]):
        table[column] = table[column].map(_harmless)
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def _harmless(cell: object) -> object:
    return FORMULA.sub("'", cell) if isinstance(cell, str) else cell
