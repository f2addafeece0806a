"""Records of what the files in a folder were made from, for formats that have no room for it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from earmark.codec.errors import WriteError

RECORDS = ".earmark-origins.jsonl"  # one line per file: its name and SHA-256, and its origin


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; empty for a pipe."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_origin(target: Path, origin: dict[str, str]) -> None:
    """Record what a file was made from; several processes may do so at once.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    line = json.dumps({"file": target.name, "sha256": sha256_of(target), "origin": origin}) + "\n"
    records = target.parent / RECORDS
    try:
        file = os.open(records, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(file, line.encode())  # one call, so that lines of several processes do not mix
        finally:
            os.close(file)
    except OSError as error:
        raise WriteError(f"{records}: cannot be written: {error.strerror or error}") from error


def origin_of(target: Path) -> dict[str, str] | None:
    """The recorded origin of a file; None if there is no record, or if the file has changed since."""
    records = target.parent / RECORDS
    with suppress(OSError):
        about = records.stat()
        sha256, origin = _read(records, about.st_size, about.st_mtime_ns).get(target.name, ("", {}))
        if sha256 and sha256 == sha256_of(target):
            return origin
    return None


@functools.lru_cache(maxsize=1)
def _read(records: Path, size: int, modified: int) -> dict[str, tuple[str, dict[str, str]]]:
    """Last record of each file; lines that are damaged, as the last one after a power failure, are ignored."""
    last: dict[str, tuple[str, dict[str, str]]] = {}
    for line in records.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            last[str(record["file"])] = str(record["sha256"]), dict(record["origin"])
    return last
