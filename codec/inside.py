"""Paths that come from a file, such as the audio that a study or a run names: they stay inside their folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from earmark.codec.errors import UserError
from earmark.codec.remote_paths import is_remote
from earmark.codec.text import printable


def inside(folder: Path, name: str, source: object) -> Path:
    """Path of `name` in `folder`, which a file from elsewhere may have made up.

    Symbolic links are followed before the path is judged, those of `folder` itself included. The file need not exist.

    Args:
        folder: folder or URL that the name is relative to.
        name: relative path with forward slashes.
        source: file that the name comes from, for the message.

    Returns:
        `folder / name`, unresolved.

    Raises:
        UserError: the name is empty, absolute, or leads out of the folder, possibly by a link; nothing was opened.
    """
    shown = printable(name if isinstance(name, str) else repr(name))
    refusal = UserError(
        f"{source}: names “{shown}”, which is not a path inside {folder}; correct it, or do not use this file"
    )
    if not isinstance(name, str) or not name or "\0" in name:
        raise refusal
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        raise refusal
    path = folder / name
    if is_remote(folder):
        if ".." in PurePosixPath(name).parts:
            raise refusal
        return path
    with suppress(OSError):  # a file that exists, reached without links and "..": inside as it reads, and cheap to see
        if path != folder and os.path.realpath(path, strict=True) == os.fspath(path):
            return path
    try:
        root, target = folder.resolve(), path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or a name that is too long
        raise refusal from error
    if target == root or not target.is_relative_to(root):
        raise refusal
    return path
