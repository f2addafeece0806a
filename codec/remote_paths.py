"""Files and folders at fsspec URLs (s3://, gs://, http://, file:// ...) instead of local paths.

A URL is a `UPath` of universal-pathlib (the extra `remote`), which behaves like a `Path`. Because C libraries and other
programs open local files only, their files are copied to this machine first.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from earmark.codec.errors import UserError
from earmark.codec.extras import require

Version = tuple[int, str]  # size in bytes, and marks of the content or of the time of its last change
# What stores call these: S3 has ETag and LastModified, Google generation, Azure etag, local and SFTP files a time.
VERSION_KEYS = ("ETag", "etag", "generation", "LastModified", "last_modified", "mtime", "created")


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


def remote_files(folder: Path) -> dict[str, Version | None]:
    """All files in a folder at a URL and in its sub-folders, from as few requests as the store needs to list them.

    Returns:
        Path relative to the folder, with forward slashes -> version, None if the store does not tell it.
    """
    store, root = folder.fs, folder.path.rstrip("/")  # type: ignore[attr-defined]
    try:
        found = store.find(root, detail=True)
    except FileNotFoundError:
        return {}
    start = f"{root}/"
    return {name.removeprefix(start): _version(found[name]) for name in sorted(found) if name.startswith(start)}


def version_of(path: Path) -> Version | None:
    """Version of one file at a URL; None if the store does not tell it.

    Raises:
        OSError: it cannot be read.
    """
    return _version(path.fs.info(path.path))  # type: ignore[attr-defined]


def _version(about: Mapping[str, Any]) -> Version | None:
    marks = [str(about[name]) for name in VERSION_KEYS if about.get(name) is not None]
    return (int(about.get("size") or 0), " ".join(marks)) if marks else None
