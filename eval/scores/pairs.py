"""Lists of pairs of reference and decoded audio: a CSV file, two Kaldi scp files, or files that need no reference."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from earmark.baselines.decoded_audio import decoded_system
from earmark.codec.errors import UserError
from earmark.codec.notices import notice
from earmark.codec.remote_paths import is_remote, path_or_url
from earmark.codec.text import counted
from earmark.eval.comparison.corpus import Source, category_of
from earmark.eval.comparison.decoded.folders import DecodedSystem, Location

NEEDED = ("reference", "decoded")
OPTIONAL = ("system", "category")
SYSTEM = "decoded"  # its name if the list has none
NAMED = 3  # missing files that a message names


@dataclass(frozen=True)
class ListedPair:
    """One line of a list.

    Args:
        name: name of the recording in tables; "" for its path.
        system: name of the system, e.g. "A@6".
        category: "" for the one that the reference's name or folder says.
        line: where it stands, for messages.
    """

    reference: Path
    decoded: Path
    name: str = ""
    system: str = SYSTEM
    category: str = ""
    line: str = ""


def read_pairs(text: str) -> list[ListedPair]:
    """Read the value of --pairs: a CSV file, or two scp files separated by a comma.

    Raises:
        UserError: the file cannot be read, lacks a column or a value, or names no pair.
    """
    parts = text.split(",")
    if len(parts) == 2 and all(part.strip().endswith(".scp") for part in parts):
        reference, decoded = (path_or_url(part.strip()) for part in parts)
        return read_scp_pairs(reference, decoded)
    return _read_csv(path_or_url(text))


def _read_csv(file: Path) -> list[ListedPair]:
    """Read a CSV file with the columns reference and decoded, and perhaps system and category.

    Relative paths start from the folder of the file, or from the working directory if there is no such file.
    """
    lines = _lines(file)
    separator = next((one for one in ("\t", ";") if lines and one in lines[0] and "," not in lines[0]), ",")
    rows = csv.DictReader(lines, delimiter=separator, skipinitialspace=True)
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = columns
    if absent := [name for name in NEEDED if name not in columns]:
        raise UserError(
            f"{file}: no column {' or '.join(absent)} in its first line; write reference,decoded and, if needed, "
            "system,category"
        )
    pairs = []
    for row in rows:
        line = f"line {rows.line_num}"
        values = {name: (row[name] or "").strip() for name in (*NEEDED, *OPTIONAL) if name in columns}
        if empty := [name for name in NEEDED if not values[name]]:
            raise UserError(f"{file}: {line} has no {empty[0]}")
        reference, decoded = (_located(values.pop(name), file) for name in NEEDED)
        given = {name: value for name, value in values.items() if value}
        pairs.append(ListedPair(reference, decoded, line=line, **given))
    if not pairs:
        raise UserError(f"{file}: no pairs in it")
    return pairs


def read_scp_pairs(reference: Path, decoded: Path) -> list[ListedPair]:
    """Read the scp files of Kaldi, "utterance path" a line, and join them by utterance.

    The system has the name of the decoded list, or of its folder if that is wav.scp.

    Raises:
        UserError: a file cannot be read, a line is a command, or a decoded utterance has no reference.
    """
    references, files = _read_scp(reference), _read_scp(decoded)
    if lacking := [name for name in files if name not in references]:
        what = f"{counted(len(lacking), 'utterance')} not in {reference}: {_some(lacking)}"
        raise UserError(f"{decoded}: {what}; add {'its' if len(lacking) == 1 else 'their'} reference there")
    if absent := [name for name in references if name not in files]:
        notice(f"{decoded}: no decoded audio of {counted(len(absent), 'utterance')} of {reference}: {_some(absent)}")
    stem = decoded.stem if decoded.stem != "wav" else decoded.absolute().parent.name
    return [ListedPair(references[name], path, name, stem, line=name) for name, path in files.items()]


def _read_scp(file: Path) -> dict[str, Path]:
    entries: dict[str, Path] = {}
    for number, line in enumerate(_lines(file), 1):
        name, _, path = line.strip().replace("\t", " ").partition(" ")
        path = path.strip()
        if not name:
            continue
        if not path or path.endswith("|"):
            what = "runs a command" if path else "has no path"
            raise UserError(f"{file}: line {number} {what}; write `utterance path-of-a-file`")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UserError(f"{file}: line {number}: {name} is no name of an utterance")
        if name in entries:
            raise UserError(f"{file}: line {number}: {name} is given twice")
        entries[name] = _located(path, file)
    if not entries:
        raise UserError(f"{file}: no utterances in it")
    return entries


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: {getattr(error, 'strerror', None) or 'is not a text file in UTF-8'}") from error


def _located(text: str, file: Path) -> Path:
    path = path_or_url(text)
    beside = file.parent / path
    return path if is_remote(path) or path.is_absolute() or not beside.exists() else beside


def require_files(pairs: Iterable[ListedPair], where: str) -> None:
    """Check that all files of a list exist.

    Raises:
        UserError: the message names the first ones that do not.
    """
    missing = [f"{pair.line} {path}" for pair in pairs for path in (pair.reference, pair.decoded) if not path.is_file()]
    if missing:
        verb = "does" if len(missing) == 1 else "do"
        raise UserError(
            f"{where}: {counted(len(missing), 'file')} {verb} not exist: {_some(missing)}; or add --keep-going to "
            "score the others"
        )


def as_systems(pairs: Sequence[ListedPair], where: Path) -> tuple[tuple[Source, ...], tuple[DecodedSystem, ...]]:
    """The recordings and systems of a list.

    Args:
        where: the list, for messages and run.json.

    Raises:
        UserError: a recording has two categories, or a system two files of one recording.
    """
    sources: dict[str, Source] = {}
    files: dict[str, dict[str, Path]] = {}
    for pair, name in zip(pairs, _names(pairs), strict=True):
        category = pair.category or category_of(pair.reference, pair.reference.parent)
        source = sources.setdefault(name, Source(name, pair.reference, category))
        if source.category != category:
            raise UserError(f"{where}: {pair.line}: {name} is in the categories {source.category} and {category}")
        if name in files.setdefault(pair.system, {}):
            raise UserError(
                f"{where}: {pair.line}: {pair.reference} is given twice for the system {pair.system}; tell the systems "
                "apart by a column `system`"
            )
        files[pair.system][name] = pair.decoded
    systems = (DecodedSystem(decoded_system(text), Location(where, files=own)) for text, own in files.items())
    return tuple(sources.values()), tuple(systems)


def _names(pairs: Sequence[ListedPair]) -> Iterator[str]:
    """Names of the recordings: those that are given, else their paths below the folder that all references share."""
    local = [pair.reference.absolute().parent for pair in pairs if not is_remote(pair.reference)]
    shared = Path(os.path.commonpath(local)) if local else Path()
    for pair in pairs:
        if pair.name:
            yield pair.name
        elif is_remote(pair.reference):
            yield str(pair.reference).partition("://")[2].lstrip("/")
        else:
            yield pair.reference.absolute().relative_to(shared).as_posix()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
