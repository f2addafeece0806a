"""SHA-256 of the recordings, remembered in RUN/digests.json: to read 100,000 of them again would take many minutes."""

from __future__ import annotations

import json
from pathlib import Path

from earmark.codec.files import write_text
from earmark.codec.remote_paths import is_remote
from earmark.eval.comparison.corpus import sha256

FILE = "digests.json"


class Digests:
    """Hashes of files, each made once for as long as the file's size and times stay the same.

    Beside the time of its last change counts that of its entry's in the folder, which no program sets back.
    """

    def __init__(self, run: Path) -> None:
        self._file = run / FILE
        self._known: dict[str, list[int | str]] = {}
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = {path: entry for path, entry in stored.items() if isinstance(entry, list) and len(entry) == 4}
        except (OSError, ValueError, AttributeError):  # none yet, or damaged: all are made anew
            pass
        self._changed = False

    def of(self, path: Path) -> str:
        """SHA-256 of a file; a URL's is remembered for this run alone.

        Raises:
            UserError: it cannot be read.
        """
        name = str(path)
        try:
            status = path.stat()
            stamp = [0, 0, 0] if is_remote(path) else [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        except OSError:  # as `sha256` will say
            stamp = [0, 0, 0]
        known = self._known.get(name)
        if known is None or known[:3] != stamp:
            known = self._known[name] = [*stamp, sha256(path)]
            self._changed = True
        return str(known[3])

    def save(self) -> None:
        """Raises: WriteError: the folder cannot be written."""
        if self._changed:
            lasting = {path: entry for path, entry in self._known.items() if any(entry[:3])}
            write_text(self._file, json.dumps(lasting) + "\n")
            self._changed = False
