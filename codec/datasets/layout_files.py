"""Helpers for reading the folders and tables of data sets."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from earmark.codec.audio.files import SNDFILE_SUFFIXES
from earmark.codec.errors import UserError


def audio_files(root: Path) -> Iterator[Path]:
    """The audio files below a folder, sorted by path. Symbolic links are skipped, since they would be copies."""
    return (
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in SNDFILE_SUFFIXES and path.is_file() and not path.is_symlink()
    )


def file_key(dataset: str, file: Path, root: Path) -> str:
    """The key of a file for split_of(): its path without suffix, so that all formats of a recording share a split."""
    return f"{dataset}/{file.relative_to(root).with_suffix('').as_posix()}"


def first_folder(root: Path, *names: str) -> Path:
    """The first of several subfolders that exists.

    Raises:
        UserError: none of them exists.
    """
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise UserError(f"{root}: no folder {' or '.join(names)} in it; is this the data set's root?")


def table_rows(path: Path, *columns: str) -> Iterator[dict[str, str]]:
    """Rows of a tab-separated table. They may be longer than the header, as in Jamendo's.

    Raises:
        UserError: the header lacks one of `columns`.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := set(columns) - set(rows.fieldnames or ()):
            raise UserError(f"{path}: no column {', '.join(sorted(missing))}; is it the data set's own table?")
        yield from rows
