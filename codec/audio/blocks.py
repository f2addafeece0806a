"""Reading and writing audio block by block, from files and pipes: a long recording is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from earmark.codec.audio import av_files, wav_stream
from earmark.codec.audio.files import (
    is_cut_short,
    needs_ffmpeg,
    opened,
    require_finite,
    require_rate,
    surround,
    truncated,
)
from earmark.codec.audio.lookahead import name_of
from earmark.codec.audio.native_messages import silenced
from earmark.codec.audio.signals import Audio, Pcm, fit_length, resampled_length
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole

BLOCK_FRAMES = 4096
OUTPUTS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
LONGEST_WAV = (1 << 32) - (1 << 16)  # bytes of samples; lengths have 32 bits and include the header


@dataclass(frozen=True)
class AudioStream:
    """A recording that is read block by block.

    Args:
        name: its name in messages.
        sample_rate: in Hz.
        samples: length per channel, None if it is unknown before the end.
        blocks: float32 [channels, n] each, full scale at +-1; can be iterated over once.
    """

    name: str
    sample_rate: int
    channels: int
    samples: int | None
    blocks: Iterator[Audio]

    def converted(self, sample_rate: int, channels: int) -> AudioStream:
        """The same recording at another sample rate and with another number of channels.

        Stereo is averaged to mono, and mono is repeated for stereo. The samples are those of `audio.resample` for the
        whole recording.

        Raises:
            UserError: any other change of the number of channels.
        """
        if self.channels != channels and 1 not in (self.channels, channels):
            raise UserError(f"{self.name}: {self.channels} channels; the model takes {channels}")
        narrow = min(self.channels, channels)
        samples = None if self.samples is None else resampled_length(self.samples, self.sample_rate, sample_rate)
        blocks = _resampled(_mixed(self.blocks, narrow), narrow, self.sample_rate, sample_rate)
        return AudioStream(self.name, sample_rate, channels, samples, _mixed(blocks, channels))


def open_file(path: Path) -> AudioStream:
    """Open a file with one or two channels in any format that `earmark.codec.audio.read` reads.

    Raises:
        UserError: not audio, truncated, or more than two channels; during iteration also NaN or infinite samples.
    """
    if needs_ffmpeg(path):
        return _open_by_ffmpeg(path)
    with silenced(), opened(path) as file:
        rate, channels, frames = file.samplerate, file.channels, file.frames
    if is_cut_short(path):
        raise truncated(path)
    return AudioStream(str(path), rate, channels, frames, _file_blocks(path, frames))


def _open_by_ffmpeg(path: Path) -> AudioStream:
    """Open a file whose length is known only at its end."""
    with av_files.opened(path) as (form, _):
        if form.channels > 2:
            raise surround(path, form.channels)
        require_rate(form.sample_rate, path)

    def blocks() -> Iterator[Audio]:
        with av_files.opened(path) as (_, parts):
            yield from _finite(parts, str(path))

    return AudioStream(str(path), form.sample_rate, form.channels, None, blocks())


def open_pipe(file: BinaryIO, block_seconds: float | None = None) -> AudioStream:
    """Open a WAV with one or two channels on a pipe; its header may lack the length.

    Args:
        block_seconds: longest block to wait for; default: BLOCK_FRAMES samples.

    Raises:
        UserError: see `wav_stream.read_header`; during iteration also NaN or infinite samples, or a missing end.
    """
    wav = wav_stream.read_header(file)
    frames = BLOCK_FRAMES if block_seconds is None else round(block_seconds * wav.sample_rate)
    frames = max(1, min(frames, BLOCK_FRAMES))
    blocks = _finite(wav_stream.read_blocks(file, wav, frames), name_of(file))
    return AudioStream(name_of(file), wav.sample_rate, wav.channels, wav.frames, blocks)


def _file_blocks(path: Path, frames: int) -> Iterator[Audio]:
    # Opened a second time, within the generator, so that `opened` does not take errors of the caller for the file's.
    with opened(path) as file:
        received = 0
        while True:
            with silenced() if file.format == "MP3" else nullcontext():  # see audio.files.read
                block = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
            if not len(block):
                break
            received += len(block)
            require_finite(block, path)
            yield block.T
        ogg = file.format == "OGG"
    if received < frames:
        if not ogg:
            raise truncated(path)
        yield np.zeros((file.channels, frames - received), np.float32)  # see audio.files.read


def _finite(blocks: Iterable[Audio], name: str) -> Iterator[Audio]:
    for block in blocks:
        require_finite(block, name)
        yield block


def _mixed(blocks: Iterator[Audio], channels: int) -> Iterator[Audio]:
    for block in blocks:
        if block.shape[0] == channels:
            yield block
        elif channels == 1:
            yield block.mean(axis=0, keepdims=True)
        else:
            yield np.repeat(block, channels, axis=0)


def _resampled(blocks: Iterator[Audio], channels: int, from_rate: int, to_rate: int) -> Iterator[Audio]:
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality="VHQ")
    received = given = 0
    for block in blocks:
        received += block.shape[1]
        ready = resampler.resample_chunk(np.ascontiguousarray(block.T))
        given += len(ready)
        yield ready.T
    rest = resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True).T
    yield fit_length(rest, resampled_length(received, from_rate, to_rate) - given)


def regrouped(blocks: Iterable[Audio], length: int) -> Iterator[Audio]:
    """Regroup a signal into blocks of `length` samples; the last one may be shorter."""
    pending: list[Audio] = []
    samples = 0
    for block in blocks:
        pending.append(block)
        samples += block.shape[1]
        while samples >= length:
            joined = np.concatenate(pending, axis=1)
            yield joined[:, :length]
            pending, samples = [joined[:, length:]], samples - length
    if samples:
        yield np.concatenate(pending, axis=1)


def require_output(path: Path, floating: bool = False) -> None:
    """Check that the file name ends in one of OUTPUTS, and in .wav for floating point.

    Raises:
        UserError: it does not.
    """
    if floating and path.suffix.lower() in OUTPUTS and path.suffix.lower() != ".wav":
        raise UserError(f"{path}: --float writes .wav files; other types hold audio within full scale")
    if path.suffix.lower() not in OUTPUTS:
        raise UserError(f"{path}: audio goes to a file that ends in {', '.join(OUTPUTS)}, or to - for a pipe")


@contextmanager
def written_file(
    path: Path, sample_rate: int, channels: int, floating: bool = False, comment: str = ""
) -> Iterator[Callable[[Pcm | Audio], None]]:
    """Yield a function that writes blocks [n, channels]; the file appears if the `with` block ends without an error.

    Args:
        floating: write 32-bit floats instead of 16-bit integers.
        comment: text that the file carries.

    Raises:
        UserError: see `require_output`; or a WAV gets longer than 4 GiB.
        WriteError: the disk is full or the folder cannot be written.
    """
    require_output(path, floating)
    container, subtype = OUTPUTS[path.suffix.lower()]
    subtype = "FLOAT" if floating else subtype
    written = 0

    def write(pcm: Pcm | Audio) -> None:
        nonlocal written
        written += pcm.nbytes
        if container == "WAV" and written > LONGEST_WAV:
            raise UserError(f"{path}: longer than a WAV can be, 4 GiB; write a .flac")
        try:
            file.write(pcm)
        except soundfile.LibsndfileError as error:
            raise _unwritable(path, error) from error

    with written_whole(path) as aside:
        try:
            file = soundfile.SoundFile(aside, "w", sample_rate, channels, subtype, format=container)
            if comment:
                file.comment = comment
        except soundfile.LibsndfileError as error:
            raise _unwritable(path, error) from error
        with file:
            yield write


def comment_of(path: Path) -> str:
    """The text that an audio file carries; empty if there is none, or if the file cannot be read."""
    try:
        with soundfile.SoundFile(path) as file:
            return str(file.comment)
    except (soundfile.LibsndfileError, OSError):
        return ""


def _unwritable(path: Path, error: soundfile.LibsndfileError) -> WriteError:
    return WriteError(f"{path}: cannot be written ({error.error_string}); is the disk full?")


@contextmanager
def written_pipe(
    file: BinaryIO, sample_rate: int, channels: int, floating: bool = False
) -> Iterator[Callable[[Pcm | Audio], None]]:
    """Yield a function that writes blocks [n, channels] as WAV to a pipe, with a header of unknown length."""
    file.write(wav_stream.header(sample_rate, channels, floating))
    file.flush()

    def write(pcm: Pcm | Audio) -> None:
        file.write(pcm.astype("<f4" if floating else "<i2").tobytes())
        file.flush()

    yield write
