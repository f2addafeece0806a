"""WAV on pipes: a header of unknown length and the samples behind it, which soundfile reads only from files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from earmark.codec.audio.files import Audio, is_unknown_length, surround, truncated
from earmark.codec.audio.lookahead import name_of
from earmark.codec.errors import UserError

BLOCK_FRAMES = 4096
LONGEST_FORMAT = 4096  # bytes of a "fmt " chunk; 16, 18 or 40 in practice
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # the last has the tag proper in front of its GUID
ENCODINGS = {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}
UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True)
class WavForm:
    """What the header of a WAV says.

    Args:
        tag: PCM or FLOAT.
        bits: of one sample.
        frames: samples per channel, None where the header does not know.
    """

    sample_rate: int
    channels: int
    tag: int
    bits: int
    frames: int | None

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read_header(file: BinaryIO) -> WavForm:
    """Read up to the first sample.

    Raises:
        UserError: no WAV, of an encoding other than PCM and float, of more than two channels, or without samples.
    """
    name = name_of(file)
    start = _read(file, 12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        raise UserError(f"{name}: not a WAV; a pipe must bring WAV, as `ffmpeg -i RECORDING -f wav -` writes it")
    described = b""
    while True:
        head = _read(file, 8)
        if len(head) < 8:
            raise UserError(f"{name}: a WAV without samples")
        chunk, length = struct.unpack("<4sI", head)
        if chunk == b"data":
            return _form(name, described, None if is_unknown_length(length) else length)
        if chunk == b"fmt " and length <= LONGEST_FORMAT:
            described = _read(file, length + length % 2)
        else:
            _skip(file, length + length % 2)


def _form(name: str, described: bytes, length: int | None) -> WavForm:
    if len(described) < 16:
        raise UserError(f"{name}: a WAV without a description of its samples; write it again")
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", described)
    if tag == EXTENSIBLE and len(described) >= 26:
        tag = struct.unpack_from("<H", described, 24)[0]
    if (tag, bits) not in ENCODINGS or rate == 0 or align != channels * bits // 8:
        raise UserError(f"{name}: a WAV of encoding {tag} with {bits} bits; write PCM or floating point")
    if not 1 <= channels <= 2:
        raise surround(name, channels)
    return WavForm(rate, channels, tag, bits, None if length is None else length // align)


def read_blocks(file: BinaryIO, form: WavForm) -> Iterator[Audio]:
    """The samples behind the header as they come, float32 [channels, n], up to the announced length or the end.

    Raises:
        UserError: it ends before the announced length.
    """
    received = 0
    while form.frames is None or received < form.frames:
        wanted = BLOCK_FRAMES if form.frames is None else min(BLOCK_FRAMES, form.frames - received)
        data = _read(file, wanted * form.frame_bytes)
        frames = len(data) // form.frame_bytes  # a writer that was ended may leave a part of one
        if frames == 0:
            break
        received += frames
        yield _samples(data[: frames * form.frame_bytes], form)
    if form.frames is not None and received < form.frames:
        raise truncated(name_of(file))


def _samples(data: bytes, form: WavForm) -> Audio:
    """Bytes as float32 [channels, n], full scale at +-1."""
    if form.tag == FLOAT:
        flat = np.frombuffer(data, f"<f{form.bits // 8}")
    elif form.bits == 8:
        flat = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    elif form.bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        flat = wide.view("<i4")[:, 0] / np.float32(1 << 31)
    else:
        flat = np.frombuffer(data, f"<i{form.bits // 8}") / np.float32(1 << (form.bits - 1))
    return flat.astype(np.float32).reshape(-1, form.channels).T


def header(sample_rate: int, channels: int) -> bytes:
    """The header of a WAV of 16-bit samples whose length is not known yet."""
    align = 2 * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, PCM, channels, sample_rate, sample_rate * align, align, 16)
    return b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVE" + form + struct.pack("<4sI", b"data", UNKNOWN)


def _read(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, fewer at the end."""
    try:
        return file.read(size)
    except OSError as error:
        raise UserError(f"{name_of(file)}: cannot be read ({error.strerror or error})") from error


def _skip(file: BinaryIO, size: int) -> None:
    while size > 0 and (data := _read(file, min(size, 1 << 16))):
        size -= len(data)
