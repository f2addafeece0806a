"""Files and folders on any fsspec URL (s3://, gs://, http://, file:// ...) in the place of local paths.

A URL is a `UPath` of universal-pathlib, an extra, which behaves as a `Path` does; what a C library has to open by its
name is copied here first.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from earmark.codec.errors import UserError


def place(text: str) -> Path:
    """The path or, where there is a "://" in it, the URL that a user gave.

    Raises:
        UserError: the extra, or the package for URLs of this kind, is not installed.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath
    except ImportError:
        raise UserError(f"{text}: URLs need a package more; run `pip install 'earmark[remote]'`") from None
    try:
        url = UPath(text)
        url.exists()
    except (ImportError, ValueError) as error:
        raise UserError(f"{text}: this kind of URL cannot be opened here: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise UserError(f"{text}: not reachable: {error}") from error
    return cast(Path, url)


def is_remote(path: Path) -> bool:
    """Whether a path is a URL, which other programs and C libraries cannot open."""
    return not isinstance(path, Path)


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """A path that any program can open: the same, or a copy for the time of the block.

    Raises:
        UserError: whatever the block raises, which names the file as it was given; or the URL cannot be read.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        copy = Path(folder) / path.name
        try:
            with path.open("rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}") from error
        try:
            yield copy
        except UserError as error:
            raise UserError(str(error).replace(str(copy), str(path))) from error
