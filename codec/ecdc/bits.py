"""Packing of fixed-width codes into a stream of bits, least significant bit first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 65536  # codes handled at once; a multiple of 8, so that every block ends on a byte


def packed_size(count: int, width: int) -> int:
    """Bytes needed for `count` codes of `width` bits."""
    return -(-count * width // 8)


def pack(codes: NDArray[np.integer], width: int) -> bytes:
    """Pack codes one after the other, least significant bit first, and pad the last byte with zeros.

    Args:
        codes: [n], each from 0 to 2 ** width - 1.
        width: bits per code, 1 to 16.

    Raises:
        ValueError: a code does not fit into `width` bits.
    """
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < 1 << width:
        raise ValueError(f"codes from {codes.min()} to {codes.max()} do not fit into {width} bits")
    return b"".join(_packed_blocks(codes.astype(np.uint16), width))


def _packed_blocks(codes: NDArray[np.uint16], width: int) -> Iterator[bytes]:
    shifts = np.arange(width, dtype=np.uint16)
    for start in range(0, codes.size, BLOCK):
        bits = (codes[start : start + BLOCK, None] >> shifts & 1).astype(np.uint8)
        yield np.packbits(bits, bitorder="little").tobytes()


def unpack(data: bytes, count: int, width: int) -> NDArray[np.uint16]:
    """The first `count` codes of `data`, [count]; the inverse of `pack`.

    Raises:
        ValueError: `data` is too short.
    """
    if len(data) < packed_size(count, width):
        raise ValueError(f"{len(data)} bytes hold less than {count} codes of {width} bits")
    stream = np.frombuffer(data, np.uint8)
    values = 1 << np.arange(width, dtype=np.uint16)
    codes = np.empty(count, np.uint16)
    for start in range(0, count, BLOCK):
        block = min(BLOCK, count - start)
        first = start * width // 8
        packed = stream[first : first + packed_size(block, width)]
        bits = np.unpackbits(packed, count=block * width, bitorder="little")
        codes[start : start + block] = bits.reshape(block, width) @ values
    return codes
