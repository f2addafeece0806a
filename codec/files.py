"""Files that are written whole or not at all: written aside, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.codec.errors import WriteError
from earmark.codec.remote_paths import is_remote


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, which takes its place when the block ends well.

    A link goes on leading to the file. What is no file, such as a pipe or /dev/null, is written to as it is.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    if is_remote(path):
        with _uploaded(path) as aside:
            yield aside
        return
    place = path.resolve()
    if place.exists() and not place.is_file() and not place.is_dir():
        yield place
        return
    aside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside.touch()
        mode = aside.stat().st_mode  # some libraries write files that only their owner may read
        yield aside
        aside.chmod(mode)
        aside.replace(place)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # gone already, or never there: its folder is a file
            aside.unlink()


@contextmanager
def _uploaded(path: Path) -> Iterator[Path]:
    """A local file that is copied to a URL when the block ends well; object stores show whole files alone."""
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        aside = Path(folder) / path.name
        yield aside
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")
