"""A binary file object, of which one can look at what comes next."""

from __future__ import annotations

from typing import BinaryIO

from earmark.codec.errors import UserError


def name_of(file: BinaryIO) -> str:
    """What to call a file object in messages."""
    name = getattr(file, "name", None)
    if name == "<stdin>":
        return "-"
    return name if isinstance(name, str) else "the input"


class Lookahead:
    """Reads a file object no further than asked, so that a pipe is not waited for without need."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._buffer = bytearray()
        self._start = file.tell() if file.seekable() else None

    @property
    def name(self) -> str:
        """What to call the input in messages."""
        return name_of(self._file)

    @property
    def seekable(self) -> bool:
        """Whether everything is there already: a file, and no pipe."""
        return self._start is not None

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end, which stay unread."""
        while len(self._buffer) < size:
            try:
                more = self._file.read(min(size - len(self._buffer), 1 << 16))
            except OSError as error:
                raise UserError(f"{self.name}: cannot be read ({error.strerror or error})") from error
            if not more:
                break
            self._buffer += more
        return bytes(self._buffer[:size])

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        data = self.peek(size)
        del self._buffer[: len(data)]
        return data

    def skip_to(self, markers: tuple[bytes, ...]) -> int:
        """Drop at least one byte, up to where one of the markers may begin; the number of bytes dropped."""
        ahead = len(self.peek(1 << 12))
        found = [place for marker in markers if (place := self._buffer.find(marker, 1)) > 0]
        # A marker may begin in the last bytes that are here, unless nothing follows them.
        partial = max(map(len, markers)) - 1 if ahead >= 1 << 12 else 0
        dropped = min(found) if found else max(1, len(self._buffer) - partial)
        dropped = min(dropped, len(self._buffer))
        del self._buffer[:dropped]
        return dropped

    def rewind(self) -> bool:
        """Go back to where reading began; False where that cannot be done (a pipe)."""
        if self._start is None:
            return False
        self._file.seek(self._start)
        self._buffer.clear()
        return True
