"""Audio in and out block by block, so that a long recording never lies in memory; a pipe may stand for a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from earmark.codec.audio import wav_stream
from earmark.codec.audio.files import is_cut_short, opened, require_finite, truncated
from earmark.codec.audio.lookahead import name_of
from earmark.codec.audio.native_messages import silenced
from earmark.codec.audio.signals import Audio, Pcm, fit_length, resampled_length
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole

BLOCK_FRAMES = 4096
OUTPUTS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
LONGEST_WAV = (1 << 32) - (1 << 16)  # bytes of samples; lengths have 32 bits, and the header counts as well


@dataclass(frozen=True)
class AudioStream:
    """A recording that comes block by block.

    Args:
        name: what to call it in messages.
        sample_rate: in Hz.
        samples: length per channel, None where it is not known before the end.
        blocks: float32 [channels, n] each, full scale at +-1; to be iterated over once.
    """

    name: str
    sample_rate: int
    channels: int
    samples: int | None
    blocks: Iterator[Audio]

    def converted(self, sample_rate: int, channels: int) -> AudioStream:
        """The same at another rate and with another number of channels; equals `audio.resample` of the whole.

        Stereo becomes mono by averaging, mono becomes stereo by repetition.

        Raises:
            UserError: other numbers of channels.
        """
        if self.channels != channels and 1 not in (self.channels, channels):
            raise UserError(f"{self.name}: {self.channels} channels; the model takes {channels}")
        narrow = min(self.channels, channels)
        samples = None if self.samples is None else resampled_length(self.samples, self.sample_rate, sample_rate)
        blocks = _resampled(_mixed(self.blocks, narrow), narrow, self.sample_rate, sample_rate)
        return AudioStream(self.name, sample_rate, channels, samples, _mixed(blocks, channels))


def open_file(path: Path) -> AudioStream:
    """A WAV, FLAC, Ogg, Opus, MP3 or AIFF file of one or two channels.

    Raises:
        UserError: not audio, truncated, more than two channels; while iterating also NaN or infinite samples.
    """
    with silenced(), opened(path) as file:
        rate, channels, frames = file.samplerate, file.channels, file.frames
    if is_cut_short(path):
        raise truncated(path)
    return AudioStream(str(path), rate, channels, frames, _file_blocks(path, frames))


def open_pipe(file: BinaryIO) -> AudioStream:
    """A WAV of one or two channels on a pipe, whose header need not know its length.

    Raises:
        UserError: see `earmark.codec.audio.wav_stream`; while iterating also NaN or infinite samples.
    """
    form = wav_stream.read_header(file)
    blocks = _finite(wav_stream.read_blocks(file, form), name_of(file))
    return AudioStream(name_of(file), form.sample_rate, form.channels, form.frames, blocks)


def _file_blocks(path: Path, frames: int) -> Iterator[Audio]:
    # The file is opened here once more, so that errors of whoever takes the blocks do not pass for its own.
    with opened(path) as file:
        received = 0
        while True:
            with silenced() if file.format == "MP3" else nullcontext():  # see codec.audio.read
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
        yield np.zeros((file.channels, frames - received), np.float32)  # see codec.audio.read


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
    """The same signal in blocks of `length` samples, the last of them shorter."""
    waiting: list[Audio] = []
    held = 0
    for block in blocks:
        waiting.append(block)
        held += block.shape[1]
        while held >= length:
            joined = np.concatenate(waiting, axis=1)
            yield joined[:, :length]
            waiting, held = [joined[:, length:]], held - length
    if held:
        yield np.concatenate(waiting, axis=1)


def require_output(path: Path) -> None:
    """Check that a file of this name can be written.

    Raises:
        UserError: it ends in none of OUTPUTS.
    """
    if path.suffix.lower() not in OUTPUTS:
        raise UserError(f"{path}: audio goes to a file that ends in {', '.join(OUTPUTS)}, or to - for a pipe")


@contextmanager
def written_file(path: Path, sample_rate: int, channels: int) -> Iterator[Callable[[Pcm], None]]:
    """Give a function to write blocks [n, channels] by; the file is there when the block ends well, else not at all.

    Raises:
        UserError: see `require_output`; a WAV of more than 4 GiB.
        WriteError: the disk is full or the folder cannot be written.
    """
    require_output(path)
    form, subtype = OUTPUTS[path.suffix.lower()]
    written = 0

    def write(pcm: Pcm) -> None:
        nonlocal written
        written += pcm.nbytes
        if form == "WAV" and written > LONGEST_WAV:
            raise UserError(f"{path}: longer than a WAV can be, 4 GiB; write a .flac")
        try:
            file.write(pcm)
        except soundfile.LibsndfileError as error:
            raise _unwritable(path, error) from error

    with written_whole(path) as aside:
        try:
            file = soundfile.SoundFile(aside, "w", sample_rate, channels, subtype, format=form)
        except soundfile.LibsndfileError as error:
            raise _unwritable(path, error) from error
        with file:
            yield write


def _unwritable(path: Path, error: soundfile.LibsndfileError) -> WriteError:
    return WriteError(f"{path}: cannot be written ({error.error_string}); is the disk full?")


@contextmanager
def written_pipe(file: BinaryIO, sample_rate: int, channels: int) -> Iterator[Callable[[Pcm], None]]:
    """The same for a WAV on a pipe, whose header says that its length is not known."""
    file.write(wav_stream.header(sample_rate, channels))
    file.flush()

    def write(pcm: Pcm) -> None:
        file.write(pcm.astype("<i2").tobytes())
        file.flush()

    yield write
