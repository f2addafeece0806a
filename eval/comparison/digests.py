"""SHA-256 of recordings, stored in RUN/digests.json, as reading 100,000 files again would take many minutes."""

from __future__ import annotations

import json
from pathlib import Path

from earmark.codec.files import write_text
from earmark.codec.remote_paths import is_remote
from earmark.eval.comparison.corpus import sha256

FILE = "digests.json"


class Digests:
    """Hashes of files, computed again only if a file's size or times change.

    The times are those of the last change of content (mtime) and of metadata (ctime), which no program can set back.
    """

    def __init__(self, run: Path) -> None:
        self._file = run / FILE
        self._known: dict[str, list[int | str]] = {}
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = {path: known for path, known in stored.items() if isinstance(known, list) and len(known) == 4}
        except (OSError, ValueError, AttributeError):  # none yet, or damaged: all are computed again
            pass
        self._changed = False

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file; that of a URL is kept for this run only.

        Raises:
            UserError: it cannot be read.
        """
        name = str(path)
        try:
            status = path.stat()
            stamp = [0, 0, 0] if is_remote(path) else [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        except OSError:  # `sha256` raises the error
            stamp = [0, 0, 0]
        known = self._known.get(name)
        if known is None or known[:3] != stamp:
            known = self._known[name] = [*stamp, sha256(path)]
            self._changed = True
        return str(known[3])

    def save(self) -> None:
        """Write RUN/digests.json.

        Raises:
            WriteError: the folder cannot be written.
        """
        if self._changed:
            lasting = {path: known for path, known in self._known.items() if any(known[:3])}
            write_text(self._file, json.dumps(lasting) + "\n")
            self._changed = False
