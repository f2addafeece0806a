"""Audio files that libsndfile does not read, through FFmpeg (PyAV): M4A, AAC, WebM, Matroska, WavPack and others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earmark.codec.audio.signals import Audio
from earmark.codec.errors import UserError

if TYPE_CHECKING:
    from av.container import InputContainer

SUFFIXES = (
    ".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".webm", ".mka", ".mkv", ".wv", ".wma", ".ac3", ".eac3", ".ape",
    ".tta", ".tak", ".mpc", ".spx", ".amr", ".awb", ".dsf", ".avi",
)  # fmt: skip
ALSO = (".ogg", ".oga", ".opus")  # that libsndfile reads, unless they have Speex or other codecs
# Formats that hold audio themselves: playlists and the like would lead to other files.
FORMATS = "mov,aac,matroska,wv,asf,ac3,eac3,ape,tta,tak,mpc,mpc8,ogg,amr,dsf,avi"


@dataclass(frozen=True)
class Format:
    """Sample rate in Hz, and number of channels."""

    sample_rate: int
    channels: int


def is_candidate(path: Path) -> bool:
    """Whether a file that libsndfile refuses may be one that FFmpeg reads, by its suffix."""
    return path.suffix.lower() in (*SUFFIXES, *ALSO)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Format, Iterator[Audio]]]:
    """The format of a file's first audio track, and its samples block by block: float32 [channels, n].

    Samples that the container marks as an encoder's delay are left out.

    Raises:
        UserError: not audio, or damaged.
    """
    import av

    try:
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        with av.open(str(path), options=options) as container:
            if not container.streams.audio:
                raise UserError(f"{path}: no audio track in it")
            stream = container.streams.audio[0]
            yield Format(stream.rate, stream.channels), _blocks(container, stream.rate, stream.channels)
    except (av.FFmpegError, ValueError) as error:  # ValueError: names with a NUL, or that are not UTF-8
        detail = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: not readable as audio ({detail}); is the file damaged, or not audio?") from error


def _blocks(container: InputContainer, sample_rate: int, channels: int) -> Iterator[Audio]:
    import av

    layout = container.streams.audio[0].layout
    to_float = av.AudioResampler("fltp", layout, sample_rate)
    for frame in container.decode(audio=0):
        for converted in to_float.resample(frame):
            yield _array(converted.to_ndarray(), channels)
    for converted in to_float.resample(None):
        yield _array(converted.to_ndarray(), channels)


def _array(samples: np.ndarray, channels: int) -> Audio:
    return np.ascontiguousarray(samples.reshape(channels, -1), np.float32)


def read(path: Path) -> tuple[Audio, int]:
    """Samples [channels, time] and sample rate of a whole file.

    Raises:
        UserError: see `opened`; or there are no samples.
    """
    with opened(path) as (form, blocks):
        parts = list(blocks)
    if not parts:
        raise UserError(f"{path}: no samples in it")
    return np.concatenate(parts, axis=1), form.sample_rate
