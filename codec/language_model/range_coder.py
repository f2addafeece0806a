"""Range coder in exact integer arithmetic (Martin 1979).

A symbol with the frequency `width`, after `start` of cumulative frequency out of `total`, narrows the interval
[low, low + span) to its share. Any number in the final interval identifies all symbols. The encoder writes the one
with the most zero bytes at its end, and omits these bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

STATE_BITS = 64
UNIT = 16  # bits by which the state is shifted at a time
LEAST_SPAN = 1 << STATE_BITS - UNIT
MOST_TOTAL = 1 << 30  # at LEAST_SPAN, rounding the division down then costs at most 2 ** -18 of a symbol's share


class RangeEncoder:
    """Encodes symbols one by one."""

    def __init__(self) -> None:
        # A single integer holds all bits so far, so carries need no special treatment.
        self._low, self._span, self._bits = 0, 1 << STATE_BITS, STATE_BITS

    def push(self, start: int, width: int, total: int) -> None:
        """Encode a symbol; 0 <= start < start + width <= total <= MOST_TOTAL."""
        unit = self._span // total
        self._low += start * unit
        self._span = width * unit
        while self._span < LEAST_SPAN:
            self._low <<= UNIT
            self._span <<= UNIT
            self._bits += UNIT

    def finish(self) -> bytes:
        """Shortest bytes that identify the symbols; empty if there are none."""
        spare = min(self._span.bit_length() + 7, self._bits) // 8 * 8
        while True:
            number = -(-self._low >> spare)
            if number << spare < self._low + self._span:
                return number.to_bytes((self._bits - spare) // 8, "big")
            spare -= 8


class RangeDecoder:
    """Decodes symbols from the bytes of a `RangeEncoder`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = STATE_BITS // 8
        # How far the encoded number lies above `low`.
        self._above = int.from_bytes(data[: self._position].ljust(self._position, b"\0"), "big")
        self._span = 1 << STATE_BITS

    def pull(self, cumulative: Sequence[int]) -> int:
        """Decode the next symbol.

        Args:
            cumulative: cumulative frequencies, [symbols], each including its symbol's; the last is the total. A
                memoryview is faster than an array, since only a few elements are read.
        """
        total = cumulative[-1]
        unit = self._span // total
        # In damaged data the number may lie beyond the last symbol.
        symbol = bisect_right(cumulative, min(self._above // unit, total - 1))
        start = cumulative[symbol - 1] if symbol else 0
        self._above -= start * unit
        self._span = (cumulative[symbol] - start) * unit
        while self._span < LEAST_SPAN:
            self._span <<= UNIT
            self._above = self._above << UNIT | int.from_bytes(self._next(), "big")
        return symbol

    def _next(self) -> bytes:
        following = self._data[self._position : self._position + UNIT // 8]
        self._position += UNIT // 8
        return following.ljust(UNIT // 8, b"\0")
