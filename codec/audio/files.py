"""Reading whole audio files and writing WAV files."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from earmark.codec.audio import av_files
from earmark.codec.audio.native_messages import silenced
from earmark.codec.audio.signals import Audio, fit_length
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole

SNDFILE_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64",
    ".voc", ".sph", ".nist", ".ircam", ".avr", ".paf", ".mp2",
)  # fmt: skip
SUFFIXES = (*SNDFILE_SUFFIXES, *av_files.SUFFIXES)  # all that `read` reads, by name

DEEP = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32")  # sample types of more than 16 bits
LONGEST_OGG_PAGE = 65307  # bytes (RFC 3533)
LOWEST_RATE, HIGHEST_RATE = 1000, 1_536_000  # Hz; a file that claims 1 Hz grows 48,000 times at 48 kHz
UNKNOWN_FRAMES = 1 << 62  # or more: libsndfile's length of a FLAC that gives 0 samples (RFC 9639, section 8.2)


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
    """Read a whole file in any format that libsndfile or FFmpeg reads: WAV, FLAC, Ogg, MP3, AIFF, M4A and others.

    Raises:
        UserError: not audio, empty, truncated, more than `max_channels` channels, NaN or infinite samples.
    """
    if needs_ffmpeg(path):
        return _read_by_ffmpeg(path, max_channels)
    # libmpg123 reports every irregularity on standard error, without the file's name.
    with silenced(), opened(path, max_channels) as file:
        samples = file.read(dtype="float32", always_2d=True).T
        frames, rate, ogg = file.frames, file.samplerate, file.format == "OGG"
    if samples.shape[1] == 0:
        raise UserError(f"{path}: no samples in it")
    if is_cut_short(path) or (samples.shape[1] < frames and not ogg):
        raise truncated(path)
    require_finite(samples, path)
    # libsndfile omits the last few samples of some intact Ogg files.
    return Recording(np.ascontiguousarray(fit_length(samples, frames)), rate)


def needs_ffmpeg(path: Path) -> bool:
    """Whether FFmpeg is to read a file: libsndfile does not, and the name is that of a format which FFmpeg knows."""
    if not av_files.is_candidate(path) or not path.is_file():
        return False
    try:
        with silenced(), soundfile.SoundFile(_native(path)):
            return False
    except soundfile.LibsndfileError:
        return True


def _read_by_ffmpeg(path: Path, max_channels: int) -> Recording:
    samples, rate = av_files.read(path)
    if samples.shape[0] > max_channels:
        raise surround(path, samples.shape[0])
    require_rate(rate, path)
    require_finite(samples, path)
    return Recording(samples, rate)


def seconds(path: Path) -> float:
    """Length of a recording.

    Raises:
        UserError: it is not audio, or damaged.
    """
    if not needs_ffmpeg(path):
        with silenced(), opened(path) as file:
            return float(file.frames / file.samplerate)
    with av_files.opened(path) as (form, blocks):
        return sum(block.shape[1] for block in blocks) / form.sample_rate


def exceeds_16_bit(path: Path) -> bool:
    """Whether a file has samples that 16-bit PCM cannot hold: finer steps, or values beyond full scale.

    Lossy files have no word length and are taken to need no more than 16 bits.

    Raises:
        UserError: it is not audio, or damaged.
    """
    if needs_ffmpeg(path):
        return False
    with silenced(), opened(path) as file:
        if file.subtype not in DEEP:
            return False
        for block in file.blocks(2**16, dtype="float64"):
            scaled = block * 2**15
            if np.any(scaled != np.rint(scaled)) or np.any((scaled < -(2**15)) | (scaled >= 2**15)):
                return True
    return False


@contextmanager
def opened(path: Path, max_channels: int = 2) -> Iterator[soundfile.SoundFile]:
    """An audio file that is open for reading during the block.

    Raises:
        UserError: not audio, damaged, more than `max_channels` channels, or an impossible sample rate.
    """
    try:
        with soundfile.SoundFile(_native(path)) as file:
            if file.channels > max_channels:
                raise surround(path, file.channels)
            if file.frames >= UNKNOWN_FRAMES:
                raise UserError(f"{path}: its header does not give its length; convert it to a file again")
            require_rate(file.samplerate, path)
            yield file
    except soundfile.LibsndfileError as error:
        detail = str(error.error_string).strip().rstrip(".")
        raise UserError(f"{path}: not readable as audio ({detail}); is the file damaged, or not audio?") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def _native(path: Path) -> Path | bytes:
    """A path as libsndfile takes it: on POSIX as bytes, which need not be UTF-8."""
    return os.fsencode(path) if os.name == "posix" else path


def surround(name: object, channels: int) -> UserError:
    """The error for a recording with more than two channels."""
    return UserError(f"{name}: {channels} channels; only mono and stereo can be used, so downmix it first")


def require_rate(sample_rate: int, name: object) -> None:
    """Check that a header's sample rate is one that recordings have.

    Raises:
        UserError: it is not.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UserError(
            f"{name}: a sample rate of {sample_rate} Hz, which is not from {LOWEST_RATE} to {HIGHEST_RATE}; "
            "is the header damaged?"
        )


def truncated(name: object) -> UserError:
    """The error for a recording whose end is missing."""
    return UserError(f"{name}: truncated: the file ends before the audio that its header announces; copy it again")


def require_finite(samples: Audio, name: object) -> None:
    """Check that all samples of a recording are finite.

    Raises:
        UserError: samples are NaN or infinite.
    """
    if not np.isfinite(samples).all():
        raise UserError(f"{name}: {np.count_nonzero(~np.isfinite(samples))} NaN or infinite samples; export it again")


def is_cut_short(path: Path) -> bool:
    """Whether the audio of a WAV, AIFF or Ogg file ends early, which libsndfile does not report."""
    with path.open("rb") as file:
        head = file.read(65536)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_OGG_PAGE))
        tail = file.read()
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _is_cut_short_wav(head, size)
    if head[:4] == b"FORM":  # AIFF: followed by the length of the rest of the file
        return 8 + struct.unpack_from(">I", head, 4)[0] > size
    return head[:4] == b"OggS" and _is_cut_short_ogg(tail)


def _is_cut_short_wav(head: bytes, size: int) -> bool:
    """Whether the data chunk extends beyond the end of a file of `size` bytes that begins with `head`."""
    position = 12
    while position + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, position)
        if name == b"data":
            return not is_unknown_length(length) and position + 8 + length > size
        position += 8 + length + length % 2
    return False


def is_unknown_length(length: int) -> bool:
    """Whether the length of a WAV chunk is a placeholder, left by a program that wrote to a pipe.

    Placeholders are 0, the maximum of 31 or 32 bits, or that maximum less header and odd bytes (SoX: 0x7ffff000,
    rounded down to whole frames).
    """
    return -length % (1 << 31) <= 8192


def _is_cut_short_ogg(tail: bytes) -> bool:
    """Whether the last page (RFC 3533, section 6) is incomplete or ends within a packet.

    The end-of-stream bit is no help, because some encoders do not set it.
    """
    last = tail.rfind(b"OggS")
    if last < 0 or last + 27 > len(tail):
        return True
    lacing = tail[last + 27 : last + 27 + tail[last + 26]]
    return last + 27 + tail[last + 26] + sum(lacing) > len(tail) or lacing[-1:] == b"\xff"


def write(path: Path, samples: Audio, sample_rate: int, subtype: str = "FLOAT") -> None:
    """Write a WAV file, completely or not at all.

    Args:
        samples: [channels, time]; the subtypes "PCM_16" and "PCM_24" clip values beyond full scale.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    with written_whole(path) as aside:
        try:
            soundfile.write(aside, samples.T, sample_rate, subtype=subtype, format="WAV")
        except soundfile.LibsndfileError as error:
            raise WriteError(f"{path}: cannot be written ({error.error_string}); is the disk full?") from error
