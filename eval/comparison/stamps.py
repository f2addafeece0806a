"""Stamps of decoded files, by which records know their files; RUN/stamps.parquet keeps those of unchanged files.

A stamp costs nine reads of a file. Where size, times or version of the file are those of the last command, it is not
computed again: at a URL one listing of RUN/audio tells all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from earmark.codec.files import written_whole
from earmark.codec.remote_paths import is_remote, remote_files
from earmark.eval.comparison.run_folder import AUDIO, STAMPS, audio_name, audio_path

STAMP_PARTS, STAMP_BYTES = 9, 4096


def stamp(path: Path) -> str:
    """Size of a file and a hash of parts of it, since reading all files of a large run would take too long."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in range(STAMP_PARTS):
            file.seek(part * max(0, size - STAMP_BYTES) // (STAMP_PARTS - 1))
            digest.update(file.read(STAMP_BYTES))
    return f"{size} {digest.hexdigest()[:32]}"


class Stamps:
    """Stamps of the decoded files of a run, computed again only if a file's size, times or version change.

    At a URL, versions are looked up when a command ends: a file that somebody replaced meanwhile by another one of the
    same size counts as the one that the command wrote.
    """

    def __init__(self, run: Path) -> None:
        self._run, self._folder = run, str(run / AUDIO)
        self._remote: Mapping[str, str] | None = None  # listing of the files at a URL
        self._known: dict[str, tuple[str, str]] | None = None  # name in RUN/audio -> version and stamp
        self._written: dict[str, str] = {}  # name -> stamp of a file that is to be looked up at the end
        self._changed = False

    def matches(self, file: str, system: str, expected: str) -> bool:
        """Whether the decoded file of a recording in a system is still the one with the expected stamp."""
        known = self._stored()
        name = audio_name(system, file)
        version = self._version(name)
        if version is None:  # lost
            return False
        if version and name in known and known[name][0] == version:
            return known[name][1] == expected
        try:
            now = stamp(audio_path(self._run, system, file))
        except OSError:
            return False
        if version:
            known[name] = version, now
            self._changed = True
        return now == expected

    def remember(self, file: str, system: str, written: str) -> None:
        """Store the stamp of a decoded file that was just written."""
        name = audio_name(system, file)
        if is_remote(self._run):
            self._written[name] = written
        elif version := self._version(name):
            self._stored()[name] = version, written
            self._changed = True

    def save(self) -> None:
        """Write RUN/stamps.parquet.

        Raises:
            WriteError: the folder cannot be written.
        """
        if self._written:
            self._remote = None
            for name, text in self._written.items():
                version = self._version(name)
                if version and version.split()[0] == text.split()[0]:  # of the size that was written
                    self._stored()[name] = version, text
            self._changed = True
            self._written.clear()
        if not self._changed:
            return
        import pyarrow as pa
        from pyarrow import parquet

        known = self._stored()
        columns = [list(known), [version for version, _ in known.values()], [text for _, text in known.values()]]
        with written_whole(self._run / STAMPS) as aside:
            parquet.write_table(pa.table(dict(zip(("file", "version", "stamp"), columns, strict=True))), aside)
        self._changed = False

    def _version(self, name: str) -> str | None:
        """Size and times of a file in RUN/audio, or its version at a URL; None if it is not there, "" if not known."""
        if is_remote(self._run):
            if self._remote is None:
                found = remote_files(self._run / AUDIO)
                self._remote = {name: f"{one[0]} {one[1]}" if one else "" for name, one in found.items()}
            return self._remote.get(name)
        try:
            status = os.stat(f"{self._folder}/{name}")  # noqa: PTH116 - quicker without an object
        except OSError:
            return None
        return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"

    def _stored(self) -> dict[str, tuple[str, str]]:
        if self._known is None:
            import pyarrow as pa
            from pyarrow import parquet

            self._known = {}
            try:
                with (self._run / STAMPS).open("rb") as file:
                    table = parquet.read_table(file)
                columns = [table.column(name).to_pylist() for name in ("file", "version", "stamp")]
            except (OSError, pa.ArrowException, KeyError):  # none yet, or damaged: all are computed again
                return self._known
            self._known = {name: (version, text) for name, version, text in zip(*columns, strict=True)}
        return self._known
