"""Groups of recordings that are not independent of each other: those of one talker, piece or source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from earmark.codec.errors import UserError

FOLDER = "folder"


def clusters_of(files: Sequence[str], by: str) -> dict[str, str]:
    """Map each recording to its group.

    Args:
        files: recordings as named in a run.
        by: "folder" for the folder that a recording lies in; a CSV file with the columns file and cluster; or a regular
            expression that finds the group in the name, as its first bracketed part or as a whole.

    Raises:
        UserError: the file cannot be read or lacks a recording, or the expression is invalid or does not match a name.
    """
    if by == FOLDER:
        return {file: str(PurePosixPath(file).parent) for file in files}
    if Path(by).is_file():
        return _from_table(files, Path(by))
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise UserError(
            f"--cluster-by {by}: no CSV file, and no regular expression ({error}); "
            "use folder, a file like talkers.csv, or a pattern like '^(\\d+)-'"
        ) from None
    found = {}
    for file in files:
        match = pattern.search(file)
        if match is None:
            raise UserError(f"--cluster-by {by}: not found in {file}; it must match the name of every recording")
        found[file] = match[1] if pattern.groups else match[0]
    return found


def _from_table(files: Sequence[str], path: Path) -> dict[str, str]:
    try:
        table = pd.read_csv(path, dtype=str, na_filter=False)
    except (OSError, ValueError) as error:
        raise UserError(f"--cluster-by {path}: not readable as CSV ({error})") from error
    if not {"file", "cluster"} <= set(table.columns):
        raise UserError(f"--cluster-by {path}: needs the columns file and cluster; it has {', '.join(table.columns)}")
    clusters: Mapping[str, str] = dict(zip(table["file"], table["cluster"], strict=True))
    for file in files:
        if file not in clusters:
            raise UserError(f"--cluster-by {path}: has no row for {file}")
    return {file: clusters[file] for file in files}
