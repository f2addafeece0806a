"""Names of temporary files, and removal of those whose process was killed."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path

LONGEST_NAME = 255  # bytes, on most file systems
SUFFIX = ".part"
TEMPORARY = re.compile(r"\..+\.(?:([0-9a-f]{8})-)?(\d+)\.part", re.DOTALL)  # earlier versions named no machine
OLD_SECONDS = 24 * 3600.0  # without a write, after which no process of any machine is still writing


def temporary_name(name: str) -> str:
    """Name of the temporary file of a target: hidden, with the machine and the process that write it."""
    ending = f".{_machine()}-{os.getpid()}{SUFFIX}"
    if len(os.fsencode(name)) + len(ending) + 1 > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return f".{name}{ending}"


@functools.lru_cache(maxsize=4096)
def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files in a folder that a killed process left, once per run.

    Those of other machines, which may write to the same network folder, stay for a day after their last write.
    """
    if os.name != "posix":  # elsewhere there is no signal that only asks if a process exists
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if match := TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):  # another process was faster
                    dead = match[1] == _machine() and not _is_alive(int(match[2]))
                    if dead or time.time() - entry.stat().st_mtime > OLD_SECONDS:
                        Path(entry.path).unlink()


@functools.cache
def _machine() -> str:
    """Eight digits for the host and, in a container, its own numbering of processes."""
    numbering = ""
    with suppress(OSError):
        numbering = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it belongs to another user
        return True
    return True
