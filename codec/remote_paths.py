"""Files and folders at fsspec URLs (s3://, gs://, http://, file:// ...) instead of local paths.

A URL is a `UPath` of universal-pathlib (the extra `remote`), which behaves like a `Path`. Because C libraries and other
programs open local files only, their files are copied to this machine first.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from earmark.codec.errors import UserError
from earmark.codec.extras import require


def path_or_url(text: str) -> Path:
    """A local path, or a URL if there is a "://" in the text.

    Raises:
        UserError: the extra `remote`, or the package for this URL scheme, is not installed; or it is not reachable.
    """
    if "://" not in text:
        return Path(text)
    require("upath", extra="remote", for_=text)
    from upath import UPath

    try:
        url = UPath(text)
        url.exists()
    except (ImportError, ValueError) as error:
        raise UserError(f"{text}: URLs of this scheme cannot be opened: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise UserError(f"{text}: not reachable: {error}") from error
    return cast(Path, url)


def is_remote(path: Path) -> bool:
    """Whether a path is a URL, which other programs and C libraries cannot open."""
    return not isinstance(path, Path)


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """A path that any program can open: `path` itself, or for a URL a copy that exists during the block.

    Raises:
        UserError: the URL cannot be read; or any UserError of the block, with the copy's path replaced by the URL.
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
