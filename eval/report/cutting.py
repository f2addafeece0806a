"""Cuts the versions of one excerpt: audio and spectrograms, with the same loudness.

Worker processes do it beside the main process, so it imports no pandas.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from earmark.codec.audio import Audio, fit_length
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import local_copy
from earmark.codec.text import without_temporary_paths
from earmark.eval.levels import match
from earmark.eval.report import spectrograms

SOURCE = "source"


@dataclass(frozen=True)
class Version:
    """A decoded version of a recording: its file, and the score and rate that stand beside it as text, or ""."""

    system: str
    path: Path
    score: str
    rate: str


@dataclass(frozen=True)
class Piece:
    """An excerpt to cut.

    Args:
        source: file of the recording as it was scored.
        seconds: length, if the recording is as long.
        start: where it begins, from the source [channels, time], its sample rate and a length in samples; default:
            `loudest`.
    """

    source: Path
    versions: tuple[Version, ...]
    seconds: float
    start: Callable[[Audio, int, int], int] | None = None


@dataclass(frozen=True)
class Clip:
    """One version of an excerpt.

    Args:
        score: score of the whole recording as text, or "".
        rate: measured bit rate of the whole recording as text, or "".
        gain: gain in dB that gave it the loudness of all versions.
        flac: content of the audio file.
        spectrogram, difference: PNG images in base64; "" for the difference of the source.
    """

    system: str
    score: str
    rate: str
    gain: float
    flac: bytes
    spectrogram: str
    difference: str

    @property
    def base64(self) -> str:
        return base64.b64encode(self.flac).decode("ascii")


class Cut(NamedTuple):
    """The versions of an excerpt, the source first.

    Args:
        start, seconds: position and length of the excerpt within the recording.
        highest: frequency in Hz at the top of the spectrograms.
    """

    start: float
    seconds: float
    highest: float
    clips: tuple[Clip, ...]


def attempt(piece: Piece) -> Cut | str:
    """Cut an excerpt, and return the reason if a file cannot be read: the others are not affected."""
    try:
        return cut(piece)
    except (OSError, soundfile.LibsndfileError, UserError) as error:
        return without_temporary_paths(f"{type(error).__name__}: {error}")


def cut(piece: Piece) -> Cut:
    """Cut an excerpt.

    Raises:
        OSError, soundfile.LibsndfileError: a file cannot be read.
        UserError: a file at a URL cannot be read.
    """
    whole, rate = read(piece.source)
    if whole.shape[1] == 0:
        raise OSError(f"{piece.source}: no samples")
    length = min(whole.shape[1], round(piece.seconds * rate))
    first = loudest(whole, length) if piece.start is None else piece.start(whole, rate, length)
    signals = {SOURCE: whole[:, first : first + length]}
    texts = {SOURCE: ("", "")}
    for version in piece.versions:
        signals[version.system] = fit_length(read(version.path, first, length)[0], length)
        texts[version.system] = version.score, version.rate
    gains = {name: gain for name, (gain, _) in match(signals, rate).items()}
    matched = {name: samples * np.float32(10 ** (gains[name] / 20)) for name, samples in signals.items()}
    levels = {name: spectrograms.levels(samples, rate) for name, samples in matched.items()}
    highest = float(levels[SOURCE].max())
    clips = tuple(
        Clip(
            name, *texts[name], gains[name], _flac(samples, rate), spectrograms.picture(levels[name], highest),
            "" if name == SOURCE else spectrograms.difference(levels[SOURCE], levels[name], highest),
        )
        for name, samples in matched.items()
    )  # fmt: skip
    return Cut(first / rate, length / rate, rate / 2, clips)


def read(path: Path, start: int = 0, frames: int = -1) -> tuple[Audio, int]:
    """Read samples [channels, time] of an audio file of a run, and their rate."""
    with local_copy(path) as local:
        samples, rate = soundfile.read(local, start=start, frames=frames, dtype="float32", always_2d=True)
    return samples.T, rate


def loudest(source: Audio, length: int) -> int:
    """Start of the `length` samples with the most energy in [channels, time], searched in steps of length / 8."""
    energy = np.concatenate([[0.0], np.cumsum((source.astype(np.float64) ** 2).sum(axis=0))])
    starts = np.arange(0, source.shape[1] - length + 1, max(1, length // 8))
    return int(starts[np.argmax(energy[starts + length] - energy[starts])])


def _flac(samples: Audio, sample_rate: int) -> bytes:
    """Content of a 16-bit FLAC file; samples beyond full scale are clipped."""
    buffer = io.BytesIO()
    pcm = np.clip(np.rint(samples.T * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(buffer, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
