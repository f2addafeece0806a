"""The recordings of a run: finding them in a folder whose sub-folders are categories, and reading them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from earmark.codec.audio import SUFFIXES, Audio, Recording, files, read, resample
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import is_remote, local_copy
from earmark.eval.comparison.listing import Listing, listed
from earmark.eval.comparison.mixture import Added, mixed
from earmark.eval.comparison.room import Room, placed

SHOWN_PAIRS = 3  # in a line
RESERVED = ("all", "macro")  # the mean over all files and the average over the categories, in tables
HIGHEST_RATE = 48000  # highest sample rate of the codecs and metrics here
# Words, and names of common sets of speech: LibriTTS, VCTK, DAPS, the DNS challenge, TIMIT, TED-LIUM, MLS ...
SPEECH_PATTERNS = (
    "*speech*", "*voice*", "*talk*", "*dialog*", "*spoken*", "*podcast*", "*audiobook*", "*tts*", "libri*", "*vctk*",
    "*daps*", "*dns*", "*timit*", "*tedlium*", "*ted-lium*", "*fleurs*", "mls*", "wsj*", "aishell*",
)  # fmt: skip
# Recordings outside the sub-folders may have their category in the file name.
PREFIX = re.compile(r"(speech|voice|music|sounds?|mixed|noise)[_-]", re.IGNORECASE)


Stamp = tuple[int, int]  # size in bytes, time of the last change in ns


@dataclass(frozen=True)
class Source:
    """One recording of a run.

    Args:
        file: path relative to AUDIO_DIR with forward slashes; the recording's name in tables.
        excerpt: start and length, in seconds, of the part that is coded and scored; None for the whole recording.
        added: another recording that is mixed in.
        room: room in which the recording and what is mixed in are placed.
    """

    file: str
    path: Path
    category: str
    excerpt: tuple[float, float] | None = None
    added: Added | None = None
    room: Room | None = None


@dataclass(frozen=True)
class ReferenceFormat:
    """Format in which recordings are coded and scored.

    Args:
        sample_rate: sample rate in Hz; None keeps each recording's own, up to 48 kHz.
        mono: average the channels of each recording first.
    """

    sample_rate: int | None = None
    mono: bool = False

    def rate_for(self, sample_rate: int) -> int:
        return self.sample_rate or min(sample_rate, HIGHEST_RATE)


def find(audio_dir: Path, leave_out: Path | None = None) -> list[Source]:
    """The recordings of `sources_in`."""
    return sources_in(listed(audio_dir, leave_out))


def sources_in(listing: Listing) -> list[Source]:
    """The recordings of a folder, sorted by name.

    The category of a recording is its first sub-folder. Outside the sub-folders it is a prefix "speech_", "music_",
    "sound_", "mixed_" or "noise_" of the file name, else the name of AUDIO_DIR.

    Raises:
        UserError: there are no recordings.
    """
    audio_dir, paths = listing.folder, sorted(listing.audio)
    if not paths:
        why = "; ".join([*listing.failures, *listing.notes])
        raise UserError(
            f"{audio_dir}: no recordings in it{f' ({why})' if why else ''}; put audio files there, e.g. WAV"
        )
    return [
        Source(_readable(path.relative_to(audio_dir).as_posix()), path, category_of(path, audio_dir)) for path in paths
    ]


def audio_files(folder: Path, leave_out: Path | None = None, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """The audio files of a folder and its sub-folders, linked ones included, without hidden files and runs.

    Args:
        leave_out: folder to skip, e.g. that of the results.
        suffixes: extensions, in lower case.
    """
    return listed(folder, leave_out, suffixes).audio


def _readable(name: str) -> str:
    """Return a name in valid Unicode: a byte that is not UTF-8, 0xE9 for example, becomes %E9."""
    return re.sub("[\udc80-\udcff]", lambda match: f"%{ord(match[0]) - 0xDC00:02X}", name)


def category_of(path: Path, audio_dir: Path) -> str:
    """Category of a recording in a folder; see `find`."""
    parts = [_readable(part) for part in path.relative_to(audio_dir).parts]
    prefix = PREFIX.match(parts[0])
    if len(parts) > 1:
        name = parts[0]
    elif prefix:
        name = prefix[1].lower()
    else:
        name = audio_dir.resolve().name or "recordings"
    return f"{name}_" if name in RESERVED else name


def is_speech(category: str, patterns: Sequence[str] = SPEECH_PATTERNS) -> bool:
    """Whether `category` matches one of the shell patterns of speech categories."""
    return any(fnmatch(category.lower(), pattern.lower()) for pattern in patterns)


def load(source: Source, reference_format: ReferenceFormat) -> tuple[Recording, str | None]:
    """Read a recording as it is coded and scored.

    Returns:
        The recording, and a note for the report if high frequencies are lost.

    Raises:
        UserError: the recording cannot be used (see `earmark.codec.audio.read`).
    """
    with local_copy(source.path) as path:
        original = read(path)
    samples, rate = original.samples, reference_format.rate_for(original.sample_rate)
    channels = 1 if reference_format.mono else original.channels
    response = source.room.impulse_response(rate, channels) if source.room is not None else None
    lead = 0 if response is None else response.shape[1] - 1
    samples = _part(samples, original.sample_rate, source.excerpt, lead / rate)
    if reference_format.mono and original.channels > 1:
        samples = samples.mean(axis=0, keepdims=True)
    note = None
    if reference_format.sample_rate is None and original.sample_rate > HIGHEST_RATE:
        note = (
            f"{source.file}: scored at {HIGHEST_RATE // 1000} kHz instead of {original.sample_rate / 1000:g} kHz; "
            f"frequencies above {HIGHEST_RATE // 2000} kHz are lost"
        )
    samples = resample(samples, original.sample_rate, rate)
    if samples.shape[1] <= lead:
        raise UserError(f"{source.path}: too short to be scored at {rate} Hz")
    if source.added is not None:
        samples = mixed(samples, rate, source.added, lead)
    if response is not None:
        samples = placed(samples, response)
    return Recording(samples, rate), note


def _part(samples: Audio, sample_rate: int, excerpt: tuple[float, float] | None, lead: float) -> Audio:
    """An excerpt of [channels, time], with `lead` seconds before it, as silence where the recording has not begun."""
    first, length = 0, samples.shape[1]
    if excerpt is not None:
        first, length = (round(seconds * sample_rate) for seconds in excerpt)
    before = round(lead * sample_rate)
    part = samples[:, max(0, first - before) : first + length]
    return np.pad(part, ((0, 0), (max(0, before - first), 0)))


def exceeds_16_bit(source: Source) -> bool:
    """Whether the file of a recording has samples that 16-bit PCM cannot hold."""
    with local_copy(source.path) as path:
        return files.exceeds_16_bit(path)


def stamp_of(path: Path) -> Stamp | None:
    """Size and time of the last change of a file; None for a URL, and if they are not known."""
    if is_remote(path):
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def repeated_content(sources: Sequence[Source], digests: Mapping[str, tuple[str | None, str | None]]) -> list[str]:
    """One line on recordings with the content of an earlier one, which count twice in every mean.

    Args:
        digests: recording -> SHA-256 of its file, and of the file mixed into it.
    """
    first: dict[Any, str] = {}
    pairs = []
    for source in sources:
        added = source.added and (source.added.start, source.added.snr_db)
        content = (digests.get(source.file, (None, None)), source.excerpt, added, source.room)
        if content[0][0] is not None and (other := first.setdefault(content, source.file)) != source.file:
            pairs.append(f"{source.file} is {other}")
    if not pairs:
        return []
    more = f" and {len(pairs) - SHOWN_PAIRS} more" if len(pairs) > SHOWN_PAIRS else ""
    return [f"recordings of the same content, which count several times: {', '.join(pairs[:SHOWN_PAIRS])}{more}"]
