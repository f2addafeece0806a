"""Files or pipes as input and output of `earmark encode` and `decode`; the path - is standard input or output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole

if TYPE_CHECKING:  # numpy takes time to import, and --help does without it
    from earmark.codec.audio import Audio, Pcm
    from earmark.codec.audio.blocks import AudioStream

PIPE = Path("-")


def open_recording(path: Path, block_seconds: float | None = None) -> AudioStream:
    """A recording to read block by block: an audio file, or WAV from a pipe.

    Args:
        block_seconds: longest block of a pipe to wait for; None for the default.

    Raises:
        UserError: no audio, or no standard input.
    """
    from earmark.codec.audio import blocks

    return blocks.open_file(path) if path.is_file() else blocks.open_pipe(_open_pipe(path), block_seconds)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A binary file, or standard input.

    Raises:
        UserError: there is no standard input.
    """
    if path == PIPE:
        yield _open_pipe(path)
    else:
        with path.open("rb") as file:
            yield file


def _open_pipe(path: Path) -> BinaryIO:
    """Standard input, or a named pipe; it stays open until the command ends."""
    if path != PIPE:
        return path.open("rb")
    if sys.stdin is None:
        raise UserError("-: there is no standard input; give a file as IN")
    return sys.stdin.buffer


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears when the block ends without an error, or standard output.

    Raises:
        UserError: standard output is a terminal or closed.
        WriteError: the folder cannot be written or the disk is full.
    """
    if path != PIPE:
        with written_whole(path) as aside, aside.open("wb") as file:
            yield file
        return
    if sys.stdout is None or sys.stdout.isatty():
        raise UserError("-: standard output is a terminal; send it to a file or a pipe")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # `earmark decode ... | head`, which the command line handles
        raise
    except OSError as error:
        raise WriteError(f"-: cannot be written: {error.strerror or error}") from error


@contextmanager
def writing_audio(
    path: Path, sample_rate: int, channels: int, floating: bool = False, comment: str = ""
) -> Iterator[Callable[[Pcm | Audio], None]]:
    """A function that writes blocks [n, channels] to an audio file, or as WAV to standard output; see `writing`.

    Args:
        floating: write 32-bit floats instead of 16-bit integers.
        comment: text that a file carries.
    """
    from earmark.codec.audio import blocks

    if path != PIPE:
        with blocks.written_file(path, sample_rate, channels, floating, comment) as write:
            yield write
        return
    with writing(path) as file, blocks.written_pipe(file, sample_rate, channels, floating) as write:
        yield write


def progress_of(
    target: Path, samples: int | None, sample_rate: int
) -> AbstractContextManager[Callable[[int], object]]:  # fmt: skip
    """Progress of writing `target`; none for a pipe, as the program that reads it may show its own."""
    from earmark.codec.progress import audio_progress

    return nullcontext(lambda count: None) if target == PIPE else audio_progress(target.name, samples, sample_rate)
