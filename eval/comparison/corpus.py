"""The recordings of a run: a folder whose sub-folders are categories."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from earmark.codec.audio import SUFFIXES, Recording, read, resample
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import is_remote, local_copy
from earmark.eval.comparison.mixture import Added, mixed
from earmark.eval.comparison.run_folder import INFO

HIGHEST_RATE = 48000  # no codec and no metric here hears more
SPEECH_PATTERNS = ("*speech*", "*voice*", "*talk*")
# Recordings that lie beside the sub-folders, or in a folder without any, may say their category themselves.
PREFIX = re.compile(r"(speech|voice|music|sounds?|mixed|noise)[_-]", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """One recording to be judged.

    Args:
        file: path relative to AUDIO_DIR with forward slashes; its name in every table.
        excerpt: where the part that is judged begins, and how long it is, in seconds; None for the whole.
        added: a sound that is mixed into it.
    """

    file: str
    path: Path
    category: str
    excerpt: tuple[float, float] | None = None
    added: Added | None = None


@dataclass(frozen=True)
class ReferenceFormat:
    """The form in which every recording is judged: its own, unless a common one is asked for.

    Args:
        sample_rate: in Hz; None keeps each recording's own, up to 48 kHz.
        mono: average the channels first.
    """

    sample_rate: int | None = None
    mono: bool = False

    def rate_for(self, sample_rate: int) -> int:
        return self.sample_rate or min(sample_rate, HIGHEST_RATE)


def find(audio_dir: Path, leave_out: Path | None = None) -> list[Source]:
    """All recordings below `audio_dir`, sorted by name; what lies in the folder of a run is none.

    The category of a recording is its first sub-folder; beside the sub-folders it is a leading "speech_", "music_",
    "sound_", "mixed_" or "noise_" of the file's name, else the name of AUDIO_DIR.

    Args:
        leave_out: a folder that may lie inside, of results.

    Raises:
        UserError: there is none.
    """
    paths = sorted(audio_files(audio_dir, leave_out))
    if not paths:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise UserError(f"{audio_dir}: no recordings in it; put audio files there ({kinds})")
    return [
        Source(_readable(path.relative_to(audio_dir).as_posix()), path, _category(path, audio_dir)) for path in paths
    ]


def audio_files(folder: Path, leave_out: Path | None = None) -> Iterator[Path]:
    """Audio files below a folder, through links to folders too, each folder once; hidden ones and runs are left out."""
    if is_remote(folder):
        yield from _remote_audio_files(folder, leave_out)
        return
    seen = set() if leave_out is None else {leave_out.resolve()}
    for place, names, files in os.walk(folder, followlinks=True):
        if INFO in files:
            names.clear()
            continue
        inside = []
        for name in sorted(names):
            target = (Path(place) / name).resolve()
            if not name.startswith(".") and target not in seen:
                seen.add(target)
                inside.append(name)
        names[:] = inside
        for name in files:
            path = Path(place) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith(".") and path.is_file():
                yield path


def _remote_audio_files(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    paths = list(folder.rglob("*"))
    runs = {path.parent for path in paths if path.name == INFO} | ({leave_out} if leave_out is not None else set())
    for path in paths:
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and runs.isdisjoint(path.parents) and path.is_file():
            yield path


def _readable(name: str) -> str:
    """A name that any table can hold: bytes that are not UTF-8 become question marks."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _category(path: Path, audio_dir: Path) -> str:
    parts = [_readable(part) for part in path.relative_to(audio_dir).parts]
    prefix = PREFIX.match(parts[0])
    if len(parts) > 1:
        name = parts[0]
    elif prefix:
        name = prefix[1].lower()
    else:
        name = audio_dir.resolve().name or "recordings"
    return f"{name}_" if name == "all" else name  # "all" is the row over all categories


def is_speech(category: str, patterns: Sequence[str] = SPEECH_PATTERNS) -> bool:
    """Whether `category` matches one of the shell patterns that mean speech."""
    return any(fnmatch(category.lower(), pattern.lower()) for pattern in patterns)


def load(source: Source, form: ReferenceFormat) -> tuple[Recording, str | None]:
    """Read a recording in the form in which it is judged, and a note if that drops something.

    Raises:
        UserError: it cannot be used (see `earmark.codec.audio.read`).
    """
    with local_copy(source.path) as path:
        original = read(path)
    samples, rate = original.samples, form.rate_for(original.sample_rate)
    if source.excerpt is not None:
        first, length = (round(seconds * original.sample_rate) for seconds in source.excerpt)
        samples = samples[:, first : first + length]
    if form.mono and original.channels > 1:
        samples = samples.mean(axis=0, keepdims=True)
    note = None
    if form.sample_rate is None and original.sample_rate > HIGHEST_RATE:
        note = (
            f"{source.file}: {original.sample_rate / 1000:g} kHz is judged at {HIGHEST_RATE // 1000} kHz; "
            f"what lies above {HIGHEST_RATE // 2000} kHz is dropped"
        )
    samples = resample(samples, original.sample_rate, rate)
    if samples.shape[1] == 0:
        raise UserError(f"{source.path}: too short to be judged at {rate} Hz")
    if source.added is not None:
        samples = mixed(samples, rate, source.added)
    return Recording(samples, rate), note


def sha256(path: Path) -> str:
    """Hash of a file's bytes.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
