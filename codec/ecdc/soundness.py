"""Whether a file is as it was written, as far as its format can tell; needs no language model and no codec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.codec.ecdc.checked import OTHER_CODES
from earmark.codec.ecdc.file import open_reader
from earmark.codec.ecdc.header import Header
from earmark.codec.ecdc.segment_coders import ByteSource, Entropy
from earmark.codec.errors import UserError


class _Unread:
    """Stands for a language model: gives codes of zero for any payload, whose CRC the reader has verified."""

    def __init__(self, header: Header) -> None:
        self.entropy = header.entropy
        self.identity = header.language_model_identity

    def encode(self, codes: NDArray[np.uint16], bits: int) -> bytes:
        raise NotImplementedError

    def decode(self, source: ByteSource, codebooks: int, steps: int, bits: int) -> Iterator[NDArray[np.uint16]]:
        yield np.zeros((codebooks, steps), np.uint16)

    def size(self, codebooks: int, steps: int, bits: int) -> None:
        """None: the number of bytes depends on the codes."""


def damage_of(path: Path) -> list[str]:
    """Defects of a file, one line each; empty if it is sound.

    Version 1 has checksums of all its bytes. In a file of version 0 only a missing end and bytes after the end show;
    with a language model not even these.
    """
    try:
        with path.open("rb") as file:
            reader = open_reader(file, coder=_Unread)
            unread = reader.header.entropy != Entropy.RAW
            if unread and reader.header.format == "reference":
                return []
            for _ in reader:
                pass
    except UserError as error:
        return [str(error).removeprefix(f"{path}: ")]
    except OSError as error:
        return [f"cannot be read ({error.strerror or error})"]
    # The digest of the codes differs, as they were not decoded.
    return [damage.what for damage in reader.damage if not (unread and damage.what == OTHER_CODES)]
