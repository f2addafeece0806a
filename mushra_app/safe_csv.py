"""Tables as CSV that a spreadsheet opens without running what somebody typed."""

from __future__ import annotations

import pandas as pd


def csv_text(table: pd.DataFrame) -> str:
    """CSV whose names no spreadsheet takes for a formula: those that begin like one get an apostrophe before them."""
    table = table.copy()
    for column in filter(lambda name: pd.api.types.is_string_dtype(table[name]), table.columns):
        formula = table[column].str.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
        table[column] = table[column].where(~formula, "'" + table[column])
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
