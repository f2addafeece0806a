"""Audio in and out: float32 [channels, time], full scale at +-1 (soundfile reads, soxr resamples; no torch)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from codec.errors import UserError, WriteError
from codec.files import written_whole

Audio = NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")

LONGEST_OGG_PAGE = 65307  # bytes (RFC 3533)
UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)  # what programs that stream a WAV to a pipe write into its header


@dataclass(frozen=True)
class Recording:
    """A decoded audio file: samples [channels, time] in float32, sample_rate in Hz."""

    samples: Audio
    sample_rate: int

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def seconds(self) -> float:
        return float(self.samples.shape[1] / self.sample_rate)


def read(path: Path, max_channels: int = 2) -> Recording:
    """Read a whole WAV, FLAC, Ogg, Opus, MP3 or AIFF file.

    Raises:
        UserError: not audio, empty, truncated, more than `max_channels` channels, NaN or infinite samples.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if file.channels > max_channels:
                raise UserError(
                    f"{path}: {file.channels} channels; mono and stereo can be compared, so downmix it first"
                )
            samples = file.read(dtype="float32", always_2d=True).T
            frames, rate = file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        detail = str(error.error_string).strip().rstrip(".")
        raise UserError(f"{path}: not readable as audio ({detail}); is it damaged or another kind of file?") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    if samples.shape[1] == 0:
        raise UserError(f"{path}: no samples in it")
    if samples.shape[1] < frames or _is_cut_short(path):
        raise UserError(f"{path}: truncated: the file ends before the audio that its header announces; copy it again")
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: {np.count_nonzero(~np.isfinite(samples))} NaN or infinite samples; export it again")
    return Recording(np.ascontiguousarray(samples), rate)


def _is_cut_short(path: Path) -> bool:
    """Whether a WAV's data chunk or an Ogg stream ends early: libsndfile shortens both without a word."""
    with path.open("rb") as file:
        head = file.read(65536)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_OGG_PAGE))
        tail = file.read()
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _is_cut_short_wav(head, size)
    if head[:4] == b"FORM":  # AIFF: the length of all that follows
        return 8 + struct.unpack_from(">I", head, 4)[0] > size
    return head[:4] == b"OggS" and _is_cut_short_ogg(tail)


def _is_cut_short_wav(head: bytes, size: int) -> bool:
    """Whether the data chunk is longer than what is left of a file of `size` bytes that begins with `head`."""
    position = 12
    while position + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, position)
        if name == b"data":
            return length not in UNKNOWN_LENGTHS and position + 8 + length > size
        position += 8 + length + length % 2
    return False


def _is_cut_short_ogg(tail: bytes) -> bool:
    """Whether the last page lacks the end-of-stream bit of a complete stream (RFC 3533, section 6)."""
    last = tail.rfind(b"OggS")
    return last < 0 or last + 5 >= len(tail) or not tail[last + 5] & 4


def write(path: Path, samples: Audio, sample_rate: int, subtype: str = "FLOAT") -> None:
    """Write a WAV file, whole or not at all.

    Args:
        samples: [channels, time]. With subtype "PCM_16" or "PCM_24" values beyond full scale are clipped.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    with written_whole(path) as aside:
        try:
            soundfile.write(aside, samples.T, sample_rate, subtype=subtype, format="WAV")
        except soundfile.LibsndfileError as error:
            raise WriteError(f"{path}: cannot be written ({error.error_string}); is the disk full?") from error


def resample(audio: Audio, from_rate: int, to_rate: int) -> Audio:
    """Resample along the last axis with soxr's very high quality (linear phase, zero delay).

    Args:
        audio: [..., time] at `from_rate` Hz.

    Returns:
        [..., round(time * to_rate / from_rate)] at `to_rate` Hz.
    """
    if from_rate == to_rate:
        return audio
    length = round(audio.shape[-1] * to_rate / from_rate)
    flat = audio.reshape(-1, audio.shape[-1])
    resampled = soxr.resample(np.ascontiguousarray(flat.T), from_rate, to_rate, quality="VHQ").T
    return fit_length(resampled.astype(np.float32, copy=False), length).reshape(*audio.shape[:-1], length)


def fit_length(audio: Audio, length: int) -> Audio:
    """Cut or zero-pad [..., time] at the end to `length` samples."""
    if audio.shape[-1] >= length:
        return audio[..., :length]
    return np.pad(audio, [(0, 0)] * (audio.ndim - 1) + [(0, length - audio.shape[-1])])
