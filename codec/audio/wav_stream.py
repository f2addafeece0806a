"""WAV on pipes, with a header of unknown length; soundfile reads WAV from files only."""

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
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # the last stores the actual tag at the start of its GUID
ENCODINGS = {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}
UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True)
class WavFormat:
    """Sample format and length from a WAV header.

    Args:
        tag: PCM or FLOAT.
        bits: bits per sample.
        frames: samples per channel, None if the header gives no length.
    """

    sample_rate: int
    channels: int
    tag: int
    bits: int
    frames: int | None

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read_header(file: BinaryIO) -> WavFormat:
    """Read up to the first sample.

    Raises:
        UserError: not a WAV, neither PCM nor floating point, more than two channels, or no samples.
    """
    name = name_of(file)
    start = _read(file, 12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        raise UserError(f"{name}: not a WAV; a pipe must carry WAV, as `ffmpeg -i RECORDING -f wav -` writes it")
    format_chunk = b""
    while True:
        head = _read(file, 8)
        if len(head) < 8:
            raise UserError(f"{name}: a WAV without samples")
        chunk, length = struct.unpack("<4sI", head)
        if chunk == b"data":
            return _format(name, format_chunk, None if is_unknown_length(length) else length)
        if chunk == b"fmt " and length <= LONGEST_FORMAT:
            format_chunk = _read(file, length + length % 2)
        else:
            _skip(file, length + length % 2)


def _format(name: str, format_chunk: bytes, length: int | None) -> WavFormat:
    """Format from the contents of a "fmt " chunk and the length of the data chunk in bytes."""
    if len(format_chunk) < 16:
        raise UserError(f"{name}: a WAV without a description of its samples; write it again")
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", format_chunk)
    if tag == EXTENSIBLE and len(format_chunk) >= 26:
        tag = struct.unpack_from("<H", format_chunk, 24)[0]
    if (tag, bits) not in ENCODINGS or rate == 0 or align != channels * bits // 8:
        raise UserError(f"{name}: a WAV of encoding {tag} with {bits} bits; write PCM or floating point")
    if not 1 <= channels <= 2:
        raise surround(name, channels)
    return WavFormat(rate, channels, tag, bits, None if length is None else length // align)


def read_blocks(file: BinaryIO, wav: WavFormat, block_frames: int = BLOCK_FRAMES) -> Iterator[Audio]:
    """Blocks of samples as they arrive, float32 [channels, n], up to the announced length or the end of the input.

    Raises:
        UserError: the input ends before the announced length.
    """
    received = 0
    while wav.frames is None or received < wav.frames:
        wanted = block_frames if wav.frames is None else min(block_frames, wav.frames - received)
        data = _read(file, wanted * wav.frame_bytes)
        frames = len(data) // wav.frame_bytes  # a writer that was killed may leave an incomplete frame
        if frames == 0:
            break
        received += frames
        yield _samples(data[: frames * wav.frame_bytes], wav)
    if wav.frames is not None and received < wav.frames:
        raise truncated(name_of(file))


def _samples(data: bytes, wav: WavFormat) -> Audio:
    """Convert bytes to float32 [channels, n], full scale at +-1."""
    if wav.tag == FLOAT:
        flat = np.frombuffer(data, f"<f{wav.bits // 8}")
    elif wav.bits == 8:
        flat = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    elif wav.bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        flat = wide.view("<i4")[:, 0] / np.float32(1 << 31)
    else:
        flat = np.frombuffer(data, f"<i{wav.bits // 8}") / np.float32(1 << (wav.bits - 1))
    return flat.astype(np.float32).reshape(-1, wav.channels).T


def header(sample_rate: int, channels: int, floating: bool = False) -> bytes:
    """The header of a WAV of unknown length with 16-bit samples, or with 32-bit floats."""
    tag, bits = (FLOAT, 32) if floating else (PCM, 16)
    align = bits // 8 * channels
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, sample_rate, sample_rate * align, align, bits)
    return b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVE" + format_chunk + struct.pack("<4sI", b"data", UNKNOWN)


def _read(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, or fewer at the end."""
    try:
        return file.read(size)
    except OSError as error:
        raise UserError(f"{name_of(file)}: cannot be read ({error.strerror or error})") from error


def _skip(file: BinaryIO, size: int) -> None:
    while size > 0 and (data := _read(file, min(size, 1 << 16))):
        size -= len(data)
