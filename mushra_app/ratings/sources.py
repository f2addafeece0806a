"""Rating files: which files a path stands for, and names that keep their listeners apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from earmark.codec.errors import UserError

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".parquet")  # of rating files in a folder


def rating_files(folder: Path) -> list[Path]:
    """Files in a folder and its sub-folders that may be rating files, by their extension."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def files_of(sources: Iterable[Path]) -> list[Path]:
    """Files, and the rating files in folders; each once, however often it is named.

    Raises:
        UserError: if a folder is a study, or has no rating file.
    """
    files: dict[Path, Path] = {}  # without links and "..", -> as the user named it
    for source in sources:
        if not source.is_dir():
            files.setdefault(source.resolve(), source)
            continue
        if (source / "study.json").exists():
            raise UserError(f"{source}: a study; name it without --ratings")
        inside = rating_files(source)
        if not inside:
            raise UserError(f"{source}: not readable as ratings: no {', '.join(SUFFIXES)} file in it")
        for path in inside:
            files.setdefault(path.resolve(), path)
    return list(files.values())


def distinct_names(paths: Sequence[Path], taken: Collection[str]) -> list[str]:
    """Shortest names of files that differ from each other: file, folder/file, or that with the extension.

    Args:
        paths: files.
        taken: names that are in use.

    Returns:
        One name per path. Folders are those below the common parent of all files.
    """
    full = [path.resolve() for path in paths]
    shared = 0
    for parts in zip(*(path.parent.parts for path in full), strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    below = [path.relative_to(Path(*path.parts[:shared])) for path in full]
    ways: tuple[Callable[[Path], str], ...] = (
        lambda path: path.stem, lambda path: path.with_suffix("").as_posix(), Path.as_posix
    )  # fmt: skip
    names: list[str] = []
    for name in ways:
        names = [name(path) for path in below]
        if len(set(names)) == len(names) and not set(names) & set(taken):
            return names
    return names
