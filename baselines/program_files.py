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


def identity(command: str, files: Iterable[Path] = (), settings: str = "") -> str:
    """Hash of a command and of the content of every program and file that it names.

    Programs are found on PATH, files by their absolute path or a path that begins with ~ or $VARIABLE. What those
    programs load in turn is not seen.

    Args:
        command: for `sh -c`.
        files: further files that determine what the command does.
        settings: what else does, as text.
    """
    digest = hashlib.sha256(f"{command}\n{settings}".encode())
    for name, path in [*_named_in(command).items(), *((path.name, path) for path in files)]:
        digest.update(f"\n{name} {_content(path)}".encode())
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


def _named_in(command: str) -> dict[str, Path]:
    """Words of a command that are programs or files, and where they are."""
    found = {}
    for word in words(command):
        for part in (word, word.partition("=")[2]):  # --weights=/models/a.bin
            path = Path(_expanded(part))
            if path.is_absolute() and path.is_file():
                found[part] = path
            elif part and "/" not in part and (program := shutil.which(part)):
                found[part] = Path(program)
    return found


def _expanded(word: str) -> str:
    return str(Path(os.path.expandvars(word)).expanduser()) if word[:1] in ("~", "$") else word


def _content(path: Path) -> str:
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
