"""ITU-T G.192 bitstream files: per frame a sync word, the number of bits, and one 16-bit word per bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SYNC = 0x6B21
ZERO, ONE = 0x007F, 0x0081
WORD = np.dtype("<u2")  # the reference programs use the byte order of the machine; we assume little-endian


def unpack(content: bytes) -> list[bytes]:
    """Return the frames of a G.192 file, eight bits per byte, most significant bit first.

    Raises:
        ValueError: not a G.192 file, a lost frame, or a frame that is not a whole number of bytes.
    """
    if len(content) % WORD.itemsize:
        raise ValueError("an odd number of bytes")
    words = np.frombuffer(content, WORD)
    frames = []
    position = 0
    while position < words.size:
        if words[position] != SYNC or position + 1 == words.size:
            raise ValueError(f"no frame at word {position}")
        bits = words[position + 2 : position + 2 + int(words[position + 1])]
        if bits.size != words[position + 1] or not np.isin(bits, (ZERO, ONE)).all():
            raise ValueError(f"the frame at word {position} is not {words[position + 1]} bits")
        if bits.size % 8:
            raise ValueError(f"a frame of {bits.size} bits is not a whole number of bytes")
        frames.append(np.packbits(bits == ONE).tobytes())
        position += 2 + bits.size
    return frames


def pack(frames: Sequence[bytes]) -> bytes:
    """Return the G.192 file of frames that are whole bytes."""
    parts = []
    for frame in frames:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8))
        words = np.where(bits == 1, ONE, ZERO)
        parts.append(np.concatenate([[SYNC, bits.size], words]).astype(WORD).tobytes())
    return b"".join(parts)
