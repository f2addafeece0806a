"""Finding one's way in a data set's folders."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from earmark.codec import audio
from earmark.codec.errors import UserError


def audio_files(root: Path) -> Iterator[Path]:
    """The audio files below a folder, in the order of their paths; no symbolic links, which would be copies."""
    return (
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in audio.SUFFIXES and path.is_file() and not path.is_symlink()
    )


def file_key(dataset: str, file: Path, root: Path) -> str:
    """What decides on a file's split: its path without the suffix, so that no other format of it is elsewhere."""
    return f"{dataset}/{file.relative_to(root).with_suffix('').as_posix()}"


def first_folder(root: Path, *names: str) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise UserError(f"{root}: no folder {' or '.join(names)} in it; is this the data set's root?")


def table_rows(path: Path, *columns: str) -> Iterator[dict[str, str]]:
    """Rows of a tab-separated table whose header has `columns`; Jamendo's rows are longer than its header."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := set(columns) - set(rows.fieldnames or ()):
            raise UserError(f"{path}: no column {', '.join(sorted(missing))}; is it the data set's own table?")
        yield from rows
