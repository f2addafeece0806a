"""Files that are written completely or not at all: to a temporary file beside them, which is then renamed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.codec.errors import UserError, WriteError
from earmark.codec.leftovers import remove_leftovers, temporary_name
from earmark.codec.remote_paths import is_remote


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; the file replaces `path` if the block ends without an error.

    A symbolic link is kept, and its target is replaced. A pipe or a device such as /dev/null is written to directly.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    if is_remote(path):
        with _uploaded(path) as aside:
            yield aside
        return
    target = path.resolve()
    if target.exists() and not target.is_file() and not target.is_dir():
        yield target
        return
    aside = target.with_name(temporary_name(target.name))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        aside.touch()
        mode = aside.stat().st_mode  # some libraries create files that only their owner can read
        yield aside
        aside.chmod(mode)
        aside.replace(target)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # already renamed, or never created because its folder is a file
            aside.unlink()


@contextmanager
def _uploaded(path: Path) -> Iterator[Path]:
    """Yield a local path whose file is copied to a URL if the block ends without an error.

    Object stores show no file before its upload is complete.
    """
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        aside = Path(folder) / path.name
        yield aside
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error


def require_new(path: Path, force: bool) -> None:
    """Refuse to overwrite a file, unless the user says so.

    Raises:
        UserError: the file exists, and `force` is False.
    """
    if not force and path.is_file():
        raise UserError(f"{path}: exists; add --force to replace it")


def require_own(folder: Path, marks: Collection[str], names: Collection[str]) -> None:
    """Refuse an output folder in which files of somebody else would be overwritten.

    Args:
        marks: files or folders one of which every folder has that the command wrote.
        names: files that the command writes.

    Raises:
        UserError: the folder has one of `names`, and none of `marks`.
    """
    if is_remote(folder) or not folder.is_dir() or any((folder / mark).exists() for mark in marks):
        return
    if foreign := [name for name in names if (folder / name).exists()]:
        raise UserError(f"--out {folder}: has {foreign[0]}, which this command did not write; name another folder")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, completely or not at all.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")
