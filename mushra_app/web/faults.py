"""Faults that the experimenter should know of, and newcomers who were refused: counted, logged, and on the admin page.

Each cause is logged the first time, the first time for each sound, and then at every tenfold count, so that a full disk
does not fill the log. The counts are in memory that the server's workers share, because neither a full disk nor a lost
database can store them. A restart of the server clears them.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app
from sqlalchemy.exc import DBAPIError

try:
    import fcntl
except ImportError:  # Windows, where there is one process
    fcntl = None  # type: ignore[assignment]

EXTENSION = "earmark-faults"
DISK_FULL, DATABASE_BUSY, DATABASE_LOST = "disk full", "database busy", "database lost"
AUDIO, PLAYBACK = "audio not sent", "audio failed in a browser"
REFUSED = {
    "damaged": "refused: address damaged or not signed", "way": "refused: not admitted this way",
    "device": "refused: device", "took part": "refused: took part before",
    "address": "refused: too many sessions of one network address", "complete": "refused: study complete",
    "waiting": "refused: all places taken", "paused": "refused: study paused", "closed": "refused: study closed",
}  # fmt: skip
CAUSES = (DISK_FULL, DATABASE_BUSY, DATABASE_LOST, AUDIO, PLAYBACK, *REFUSED.values())
ROW = struct.Struct("<Qdd160s")  # count, first and last time, detail of the last
MARK_BYTES, MARKS, PROBES = 8, 1 << 15, 64  # marks of what occurred before; see Faults.is_new
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Fault:
    """A cause, how often it occurred, when (seconds since 1970), and the newest detail."""

    cause: str
    count: int
    first: float
    last: float
    detail: str


class Faults:
    """Counts by cause, shared by the processes that are forked after it was made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROW.size * len(CAUSES))
        self._marks = mmap.mmap(-1, MARK_BYTES * MARKS)
        self._thread = threading.Lock()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - locked, and open as long as the server

    def note(self, cause: str, detail: str = "") -> Fault:
        """Count a fault."""
        start = ROW.size * CAUSES.index(cause)
        with self._locked():
            count, first, _, _ = ROW.unpack_from(self._memory, start)
            now, text = time.time(), " ".join(detail.split()).encode(errors="replace")[:160]
            ROW.pack_into(self._memory, start, count + 1, first or now, now, text)
        return Fault(cause, count + 1, first or now, now, text.decode(errors="replace"))

    def all(self) -> list[Fault]:
        """Causes that have occurred."""
        found = []
        for number, cause in enumerate(CAUSES):
            count, first, last, text = ROW.unpack_from(self._memory, ROW.size * number)
            if count:
                found.append(Fault(cause, count, first, last, text.rstrip(b"\0").decode(errors="replace")))
        return found

    def is_new(self, *names: str) -> bool:
        """Whether these names are given for the first time; never again after about MARKS of them.

        A hash table of 64-bit digests, open addressing. Two names of MARKS ones have the same digest with a probability
        of 3e-11.
        """
        digest = hashlib.blake2b("\0".join(names).encode(errors="replace"), digest_size=MARK_BYTES).digest()
        start = int.from_bytes(digest, "big")
        with self._locked():
            for probe in range(PROBES):
                at = MARK_BYTES * ((start + probe) % MARKS)
                mark = self._marks[at : at + MARK_BYTES]
                if mark == digest:
                    return False
                if not any(mark):
                    self._marks[at : at + MARK_BYTES] = digest
                    return True
        return False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for other threads and processes. The lock of a process that dies is released."""
        with self._thread:
            if fcntl is not None:
                fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if fcntl is not None:
                    fcntl.lockf(self._file, fcntl.LOCK_UN)


def faults() -> Faults:
    """The counts of the current app."""
    found: Faults = current_app.extensions[EXTENSION]
    return found


def note(cause: str, detail: str = "", *, sound: str = "") -> None:
    """Count a fault; log it the first time, the first time for each `sound`, and at every tenfold count."""
    fault = faults().note(cause, detail)
    is_new = sound != "" and faults().is_new(cause, sound)
    if is_new or fault.count == 10 ** (len(str(fault.count)) - 1):
        times = "once" if fault.count == 1 else f"{fault.count} times"
        reason = f" ({fault.detail})" if fault.detail else ""
        current_app.logger.warning("%s: %s since the server's start%s", fault.cause, times, reason)


def is_full(error: OSError) -> bool:
    """Whether the disk or a quota is full."""
    return error.errno in FULL


def database_cause(error: DBAPIError) -> str:
    """The cause behind an error of the database."""
    text = str(error.orig).lower()
    if "disk is full" in text or "no space left" in text or getattr(error.orig, "sqlstate", None) == "53100":
        return DISK_FULL
    return DATABASE_BUSY if "locked" in text or "busy" in text else DATABASE_LOST
