"""Tables of unknown origin, read as text: Parquet, or CSV separated by comma, semicolon or tab."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError

LONGEST_LINE = 1 << 20  # characters
MOST_COLUMNS = 10_000


class DamagedTableError(UserError):
    """A table whose rows do not fit its headings, which `headings` has as text."""

    def __init__(self, message: str, headings: list[str]) -> None:
        super().__init__(message)
        self.headings = headings


def decoded(path: Path) -> tuple[str, str]:
    """Text of a file, and its encoding: UTF-8, UTF-16, or Windows-1252 if it is neither.

    Raises:
        UserError: if the file cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror or error})") from error
    for encoding, name in _encodings(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp1252" or not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text):
            return text.replace("\r\n", "\n"), name
    raise UserError(f"{path}: neither UTF-8 nor UTF-16 text, nor Parquet; from a spreadsheet, save it as CSV UTF-8")


def _encodings(content: bytes) -> Iterator[tuple[str, str]]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield "utf-16", "UTF-16"
    yield "utf-8-sig", "UTF-8"
    head = content[:1000]
    for order, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # without a byte-order mark: every other byte is zero
        if len(head) >= 8 and head[order::2].count(0) > 0.8 * len(head[order::2]):
            yield encoding, "UTF-16"
    yield "cp1252", "Windows-1252"


def is_parquet(path: Path) -> bool:
    """Whether a file is a Parquet table.

    Raises:
        UserError: if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror or error})") from error


def read_table(path: Path, text: str | None = None) -> pd.DataFrame:
    """Read every cell as text, so that "007" does not become 7.

    Args:
        text: content of a CSV file; None for a Parquet file.

    Returns:
        Columns under their headings; the index is the row number in a spreadsheet. Blank lines and repeated headings,
        as in concatenated files, are dropped.

    Raises:
        UserError: if the file is not a table, empty or truncated.
    """
    try:
        cells = _parquet_cells(path) if text is None else _csv_cells(path, text)
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: empty; export the ratings again") from None
    except pd.errors.ParserError as error:
        detail = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        first = [tidy(cell.strip('"')) for cell in re.split("[,;\t]", _first_line(path, text or "")[1])]
        raise DamagedTableError(f"{path}: damaged table: {detail}; export the ratings again", first) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: a damaged Parquet file ({error}); export the ratings again") from error
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


def _csv_cells(path: Path, text: str) -> pd.DataFrame:
    blank, first = _first_line(path, text)
    outside_quotes = re.sub(r'"[^"]*"', "", first)
    cells = pd.read_csv(
        io.StringIO(text), sep=max(",;\t", key=outside_quotes.count), header=None, skiprows=blank,
        skip_blank_lines=False, dtype=str, na_filter=False,
    )  # fmt: skip
    cells.index += 1 + blank
    return cells.fillna("")


def _first_line(path: Path, text: str) -> tuple[int, str]:
    """Number of blank lines before the headings, and the headings.

    Raises:
        UserError: a line is too long, or the headings are too many, for a table of ratings.
    """
    found = (0, "")
    for number, line in enumerate(text.split("\n")):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}: row {number + 1} has over {LONGEST_LINE} characters; is it a rating table?")
        if found == (0, "") and line.strip():
            found = (number, line)
            if (cells := 1 + max(line.count(one) for one in ",;\t")) > MOST_COLUMNS:
                raise UserError(f"{path}: {cells} columns; a table of ratings has at most {MOST_COLUMNS}")
    return found


def _parquet_cells(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    cells = frame.astype("str").fillna("").set_axis(range(frame.shape[1]), axis="columns")
    head = pd.DataFrame([[str(name) for name in frame.columns]], columns=cells.columns, dtype="str")
    cells = pd.concat([head, cells], ignore_index=True)
    cells.index += 1
    return cells
