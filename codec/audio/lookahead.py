"""A binary file or pipe whose next bytes can be inspected before they are read."""

from __future__ import annotations

import os
from typing import BinaryIO

from earmark.codec.errors import UserError


def name_of(file: BinaryIO) -> str:
    """The name of a file object in messages."""
    name = getattr(file, "name", None)
    if name == "<stdin>":
        return "-"
    return name if isinstance(name, str) else "the input"


class Lookahead:
    """Reads no further than requested, so that a reader never waits for a pipe without need."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._buffer = bytearray()
        self._start = file.tell() if file.seekable() else None
        self._received = 0

    @property
    def name(self) -> str:
        """The name of the input in messages."""
        return name_of(self._file)

    @property
    def seekable(self) -> bool:
        """Whether the input is a file, which is complete, rather than a pipe."""
        return self._start is not None

    @property
    def size(self) -> int:
        """Bytes of a file from the position where reading began; for a pipe, those received so far."""
        if self._start is None:
            return self._received
        here = self._file.tell()
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(here)
        return max(0, end - self._start)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end; they remain unread."""
        while len(self._buffer) < size:
            try:
                more = self._file.read(min(size - len(self._buffer), 1 << 16))
            except OSError as error:
                raise UserError(f"{self.name}: cannot be read ({error.strerror or error})") from error
            if not more:
                break
            self._buffer += more
            self._received += len(more)
        return bytes(self._buffer[:size])

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        data = self.peek(size)
        del self._buffer[: len(data)]
        return data

    def skip(self, size: int) -> None:
        """Drop the next `size` bytes of a seekable input without reading them."""
        buffered = min(size, len(self._buffer))
        del self._buffer[:buffered]
        if size > buffered:
            self._file.seek(size - buffered, os.SEEK_CUR)

    def skip_to(self, markers: tuple[bytes, ...]) -> int:
        """Drop at least one byte, up to the next position where a marker may begin.

        Returns:
            The number of bytes dropped.
        """
        ahead = len(self.peek(1 << 12))
        positions = [position for marker in markers if (position := self._buffer.find(marker, 1)) > 0]
        # A marker may begin in the last bytes of the buffer, unless the input ends there.
        partial = max(map(len, markers)) - 1 if ahead >= 1 << 12 else 0
        dropped = min(positions) if positions else max(1, len(self._buffer) - partial)
        dropped = min(dropped, len(self._buffer))
        del self._buffer[:dropped]
        return dropped

    def rewind(self) -> bool:
        """Return to the position where reading began; False if the input is a pipe, which cannot."""
        if self._start is None:
            return False
        self._file.seek(self._start)
        self._buffer.clear()
        return True
