"""Identity of a shell command, by the content of the programs and files that it names: a rebuilt one is another."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

MISSING = "missing"
MOST_FILES = 1000  # in a folder, that count by their content; those of a larger one by their names and sizes
UNSTABLE = ("/", "/dev", "/proc", "/sys", "/tmp", "/var/tmp", "~")  # folders that others write to
PATH = re.compile(r"""(?:~\w*|\$\w+)?/[^\s'"=:,;()<>|&{}]*""")


def identity(command: str, files: Iterable[Path] = (), settings: str = "") -> str:
    """Hash of a command and of the content of every program and file that it names; see `parts`.

    Args:
        command: for `sh -c`.
        files: further files that determine what the command does.
        settings: what else does, as text.
    """
    digest = hashlib.sha256(f"{command}\n{settings}".encode())
    for name, content in parts(command, files).items():
        digest.update(f"\n{name} {content}".encode())
    return digest.hexdigest()[:16]


def parts(command: str, files: Iterable[Path] = ()) -> dict[str, str]:
    """The programs and files that a command names -> SHA-256 of the content of each.

    Programs are found on PATH; files by their absolute path, by one that begins with ~ or $VARIABLE, or by one relative
    to a folder that the command enters by `cd`. What those programs load in turn is not seen.
    """
    paths = [*_named_in(command).items(), *((path.name, path) for path in files)]
    return {name: file_content(path) for name, path in paths}


def folders(command: str) -> dict[str, str]:
    """The folders that a command names, e.g. of a model, -> hash of all that is in each.

    Folders that any program may write to, as /tmp, are absent.
    """
    unstable = {Path(name).expanduser() for name in UNSTABLE}
    named = {text: Path(_expanded(text)) for word in words(command) for text in PATH.findall(word)}
    return {
        text: folder_content(path) for text, path in named.items() if path not in unstable and path.is_dir()
    }  # fmt: skip


def folder_content(folder: Path) -> str:
    """Hash of the names and contents of the files in a folder and its sub-folders, hidden and compiled ones aside."""
    files = sorted(
        path for path in folder.rglob("*")
        if not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
        and path.is_file()
    )  # fmt: skip
    digest = hashlib.sha256()
    for path in files:
        content = file_content(path) if len(files) <= MOST_FILES else str(path.stat().st_size)
        digest.update(os.fsencode(f"{path.relative_to(folder).as_posix()} {content}\n"))
    return digest.hexdigest()[:16]


def words(command: str) -> list[str]:
    """The words of a shell command, without operators such as && and |."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        found = list(lexer)
    except ValueError:  # the shell may understand what shlex does not, such as an apostrophe in a comment
        found = command.split()
    return [word for word in found if not re.fullmatch(r"[();<>|&]+", word)]


@functools.cache
def missing_program(command: str) -> str | None:
    """Name of the program that a command starts with, if the shell does not find it; None if it does."""
    first = next((word for word in words(command) if not re.match(r"\w+=", word)), "")
    done = subprocess.run(["sh", "-c", 'command -v "$1"', "sh", _expanded(first)], capture_output=True, check=False)
    return first if done.returncode else None


def relative_file(command: str) -> str | None:
    """A file that a command names by a path relative to the working directory, e.g. ./polqa; None if there is none.

    Commands run in a folder of their own, where such a path names nothing. Of names without a slash only a script right
    behind the program counts, since others may be files that the command writes.
    """
    for index, word in enumerate(words(command)):
        path = Path(_expanded(word))
        if not path.is_absolute() and ("/" in word or index == 1) and path.is_file():
            return word
    return None


def _named_in(command: str) -> dict[str, Path]:
    """Words of a command that are programs or files, and where they are."""
    found: dict[str, Path] = {}
    entered: list[Path] = []  # by `cd`
    before = ""
    for word in words(command):
        if before == "cd":
            entered.append(Path(_expanded(word)))
        before = word
        if re.search(r"\s", word):  # the command of another shell: sh -c "..."
            found.update(_named_in(word) if word != command else {})
        for part in dict.fromkeys((word, word.partition("=")[2], *PATH.findall(word))):  # --weights=/models/a.bin
            path = Path(_expanded(part))
            near = next((folder / part for folder in entered if part and (folder / part).is_file()), None)
            if path.is_absolute() and _is_file(path):
                found[part] = path
            elif near is not None:
                found[part] = near
            elif part and "/" not in part and (program := shutil.which(part)):
                found[part] = Path(program)
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, as of a script within the command
        return False


def _expanded(word: str) -> str:
    return str(Path(os.path.expandvars(word)).expanduser()) if word[:1] in ("~", "$") else word


def file_content(path: Path) -> str:
    """SHA-256 of a file; "missing" if it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return MISSING
    return _hash(str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=256)
def _hash(path: str, size: int, changed: int, touched: int) -> str:
    """SHA-256 of a file, computed again if its size or times differ."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return MISSING
