"""Rating files: which files a path stands for, and names that keep their listeners apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.codec.errors import UserError

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".parquet")  # of rating files in a folder


# Tables of a report that Earmark wrote, beside its page.
REPORT_PAGE = "report.html"
REPORT_TABLES = ("summary.csv", "listeners.csv", "comparisons.csv", "metrics.csv", "method.txt")


class RatingFile(NamedTuple):
    """A file, and whether it was found in a folder instead of named."""

    path: Path
    in_folder: bool


def rating_files(folder: Path) -> list[Path]:
    """Files in a folder and its sub-folders that may be rating files, by their extension; not those of our reports."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file() and not _of_report(path)
    )


def _of_report(path: Path) -> bool:
    return path.name in REPORT_TABLES and (path.parent / REPORT_PAGE).exists()


def files_of(sources: Iterable[Path]) -> list[RatingFile]:
    """Files, and the rating files in folders; each once, however often it is named.

    Raises:
        UserError: if a folder is a study, or has no rating file.
    """
    files: dict[Path, RatingFile] = {}  # by path without links and ".."
    for source in sources:
        if not source.is_dir():
            files[source.resolve()] = RatingFile(source, in_folder=False)
            continue
        if (source / "study.json").exists():
            raise UserError(f"{source}: a study; name it without --ratings")
        inside = rating_files(source)
        if not inside:
            raise UserError(f"{source}: not readable as ratings: no {', '.join(SUFFIXES)} file in it")
        for path in inside:
            files.setdefault(path.resolve(), RatingFile(path, in_folder=True))
    return list(files.values())


def skipped_note(paths: Iterable[Path]) -> str:
    """A sentence that names the files of folders that hold no ratings."""
    counts = Counter(path.name for path in paths)
    names = (name if count == 1 else f"{name} ({count} times)" for name, count in counts.items())
    return f"Files without ratings skipped: {', '.join(names)}."


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
