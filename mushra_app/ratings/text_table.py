"""Tables of unknown origin, read as text: Parquet, or CSV separated by comma, semicolon or tab."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError


def read_table(path: Path) -> pd.DataFrame:
    """Read every cell as text, so that "007" does not become 7.

    Returns:
        Columns under their headings; the index is the row number in a spreadsheet. Blank lines and repeated headings,
        as in concatenated files, are dropped.

    Raises:
        UserError: if the file is not a table, empty or truncated.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        cells = _parquet_cells(path) if is_parquet else _csv_cells(path)
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: empty; export the ratings again") from None
    except pd.errors.ParserError as error:
        detail = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise UserError(f"{path}: damaged table: {detail}; export the ratings again") from error
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror or error})") from error
    except ValueError as error:  # bytes that are not UTF-8, or a truncated Parquet file
        raise UserError(f"{path}: neither UTF-8 text nor Parquet; from a spreadsheet, save it as CSV UTF-8") from error
    cells = cells[~(cells == "").all(axis=1)]
    if cells.empty:
        raise UserError(f"{path}: empty; export the ratings again")
    headings = cells.iloc[0]
    rows = cells[~(cells == headings).all(axis=1)]
    return rows.set_axis([tidy(heading) for heading in headings], axis="columns")


def tidy(text: str) -> str:
    """Make text one line without control characters or surrounding spaces, safe for tables, files and terminals."""
    return re.sub(r"[\x00-\x20\x7f-\x9f]+", " ", text).strip()


def tidied(column: pd.Series[str]) -> pd.Series[str]:
    """Apply `tidy` to a column, once per distinct text: a million ratings hold a few thousand names."""
    return column.map({text: tidy(text) for text in column.unique()}).astype("str")


def _csv_cells(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        blank, first = next(((number, line) for number, line in enumerate(file) if line.strip()), (0, ""))
    outside_quotes = re.sub(r'"[^"]*"', "", first)
    cells = pd.read_csv(
        path, sep=max(",;\t", key=outside_quotes.count), header=None, skiprows=blank, skip_blank_lines=False,
        dtype=str, na_filter=False, encoding="utf-8-sig",
    )  # fmt: skip
    cells.index += 1 + blank
    return cells.fillna("")


def _parquet_cells(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    cells = frame.astype("str").fillna("").set_axis(range(frame.shape[1]), axis="columns")
    head = pd.DataFrame([[str(name) for name in frame.columns]], columns=cells.columns, dtype="str")
    cells = pd.concat([head, cells], ignore_index=True)
    cells.index += 1
    return cells
