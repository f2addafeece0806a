"""SHA-256 of recordings, stored in RUN/digests.json, as reading 100,000 files again would take many minutes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from earmark.codec.files import write_text
from earmark.codec.remote_paths import Version, is_remote, version_of
from earmark.eval.comparison.corpus import sha256

FILE = "digests.json"


class Digests:
    """Hashes of files, computed again only if a file's size or times change.

    The times are those of the last change of content (mtime) and of metadata (ctime), which no program can set back.
    At a URL it is the version that the store tells, for S3 the ETag.

    Args:
        versions: URL -> its version as far as it is known from a listing, which saves a request for each.
    """

    def __init__(self, run: Path, versions: Mapping[str, Version | None] | None = None) -> None:
        self._versions = dict(versions or {})
        self._file = run / FILE
        self._known: dict[str, list[int | str]] = {}
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = {path: known for path, known in stored.items() if isinstance(known, list) and len(known) == 4}
        except (OSError, ValueError, AttributeError):  # none yet, or damaged: all are computed again
            pass
        self._changed = False

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file; that of a URL without a version is kept for this command only.

        Raises:
            UserError: it cannot be read.
        """
        name = str(path)
        try:
            stamp = self._stamp(path)
        except OSError:  # `sha256` raises the error
            stamp = [0, 0, 0]
        known = self._known.get(name)
        if known is None or known[:3] != stamp:
            known = self._known[name] = [*stamp, sha256(path)]
            self._changed = True
        return str(known[3])

    def _stamp(self, path: Path) -> list[int | str]:
        if not is_remote(path):
            status = path.stat()
            return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        name = str(path)
        if name not in self._versions:
            self._versions[name] = version_of(path)
        version = self._versions[name]
        return [0, 0, 0] if version is None else [*version, 0]

    def save(self) -> None:
        """Write RUN/digests.json.

        Raises:
            WriteError: the folder cannot be written.
        """
        if self._changed:
            lasting = {path: known for path, known in self._known.items() if any(known[:3])}
            write_text(self._file, json.dumps(lasting) + "\n")
            self._changed = False
