"""Bytes on their way to other processes: large ones go once, as a file, instead of with every task."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LARGE = 1 << 20  # bytes
_whole = False


class Parcel:
    """Bytes that a process of this machine finds in a temporary file if they are large.

    The file lives as long as the parcel. Parcels are equal if their content is.
    """

    def __init__(self, content: bytes) -> None:
        self.digest = hashlib.sha256(content).hexdigest()
        self._content: bytes | None = content
        self._file: Path | None = None

    @property
    def content(self) -> bytes:
        if self._content is not None:
            return self._content
        assert self._file is not None
        return self._file.read_bytes()

    def __getstate__(self) -> dict[str, Any]:
        if _whole or len(self.content) < LARGE:
            return {"digest": self.digest, "_content": self.content, "_file": None}
        if self._file is None:
            with tempfile.NamedTemporaryFile(prefix="earmark-", suffix=".codec", delete=False) as file:
                file.write(self.content)
            self._file = Path(file.name)
            weakref.finalize(self, self._file.unlink, missing_ok=True)
        return {"digest": self.digest, "_content": None, "_file": self._file}

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parcel) and self.digest == other.digest


@contextmanager
def sent_whole() -> Iterator[None]:
    """Send the content itself, for processes on other machines, which do not have the file."""
    global _whole
    before, _whole = _whole, True
    try:
        yield
    finally:
        _whole = before
