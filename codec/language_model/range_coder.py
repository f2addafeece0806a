"""An exact range coder (Martin 1979): integers in, integers out, nothing rounded twice.

An entry is coded by its place among the frequencies of all: `start` below it and `width` of its own, of `total`. The
interval [low, low + span) shrinks to the entry's part of it; whatever number lies in the last interval, with as many
zero bytes at its end as there can be, which are left out, tells all entries.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

STATE_BITS = 64
UNIT = 16  # bits that a coder moves on by
LEAST_SPAN = 1 << STATE_BITS - UNIT
MOST_TOTAL = 1 << 30  # at LEAST_SPAN the division then costs no more than 2 ** -18 of an entry's part


class RangeEncoder:
    """Codes entries one by one."""

    def __init__(self) -> None:
        # All bits so far are one integer, so that carries need no care.
        self._low, self._span, self._bits = 0, 1 << STATE_BITS, STATE_BITS

    def push(self, start: int, width: int, total: int) -> None:
        """Add an entry; 0 <= start < start + width <= total <= MOST_TOTAL."""
        part = self._span // total
        self._low += start * part
        self._span = width * part
        while self._span < LEAST_SPAN:
            self._low <<= UNIT
            self._span <<= UNIT
            self._bits += UNIT

    def finish(self) -> bytes:
        """The shortest bytes that tell the entries, none for none."""
        spare = min(self._span.bit_length() + 7, self._bits) // 8 * 8
        while True:
            number = -(-self._low >> spare)
            if number << spare < self._low + self._span:
                return number.to_bytes((self._bits - spare) // 8, "big")
            spare -= 8


class RangeDecoder:
    """Reads entries from the bytes of a RangeEncoder."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = STATE_BITS // 8
        self._above = int.from_bytes(data[: self._at].ljust(self._at, b"\0"), "big")  # of the number over low
        self._span = 1 << STATE_BITS

    def pull(self, cumulative: Sequence[int]) -> int:
        """The next entry.

        Args:
            cumulative: [entries], the sum of the frequencies up to each entry and with it; the last is the total. Of a
                memoryview a few places are looked at sooner than by numpy.
        """
        total = cumulative[-1]
        part = self._span // total
        # A number that no encoder wrote may lie beyond the last entry.
        entry = bisect_right(cumulative, min(self._above // part, total - 1))
        start = cumulative[entry - 1] if entry else 0
        self._above -= start * part
        self._span = (cumulative[entry] - start) * part
        while self._span < LEAST_SPAN:
            self._span <<= UNIT
            self._above = self._above << UNIT | int.from_bytes(self._next(), "big")
        return entry

    def _next(self) -> bytes:
        following = self._data[self._at : self._at + UNIT // 8]
        self._at += UNIT // 8
        return following.ljust(UNIT // 8, b"\0")
