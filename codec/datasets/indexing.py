"""Index a data set: measure its files, skip copies and, optionally, bad recordings, and write the manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import soundfile

from earmark.codec import audio
from earmark.codec.datasets import manifest
from earmark.codec.datasets.manifest import Category, Entry, Split
from earmark.codec.datasets.screening import Limits, Quality, measure
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.in_order import in_order
from earmark.codec.progress import progress


@dataclass(frozen=True)
class Candidate:
    """A file of a data set, not opened yet; the fields are those of manifest.Entry."""

    file: Path
    dataset: str
    category: Category
    split: Split
    creator: str | None
    licence: str


@dataclass(frozen=True)
class Skipped:
    """A recording left out of the manifest, with the reason; `seconds` is 0 if it could not be read."""

    path: str
    category: Category
    seconds: float
    reason: str


@dataclass(frozen=True)
class Index:
    """The recordings of a data set that are in its manifest, and those that are not."""

    entries: list[Entry]
    skipped: list[Skipped]
    moved: tuple[str, ...] = ()  # recordings of the split train that were moved to valid, which had none


@dataclass(frozen=True)
class Measured:
    """Properties of a file, or only the reason why it cannot be used."""

    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    fingerprint: str = ""
    quality: Quality | None = None
    unusable: str | None = None


def index(candidates: Sequence[Candidate], out: Path, limits: Limits | None = None, jobs: int = 2) -> Index:
    """Write the manifest `out`, and beside it NAME.left-out.jsonl, which lists the skipped recordings.

    Measurements are stored as they are made, so an interrupted call continues where it stopped.

    Args:
        candidates: files, in the order of the manifest.
        out: manifest to write.
        limits: decode every file and skip those outside the limits. Default: read the headers only.
        jobs: threads that read files.

    Raises:
        UserError: there are no usable recordings.
        WriteError: the manifest cannot be written.
    """
    notes = out.with_name(f".{out.name}.measured")
    known = dict(_read_notes(notes))
    missing = [candidate for candidate in candidates if _key(candidate, limits) not in known]
    notes.parent.mkdir(parents=True, exist_ok=True)
    with (
        notes.open("a", buffering=1, encoding="utf-8") as file,
        progress("index", len(missing)) as advance,
    ):
        for candidate, measured in in_order(lambda each: _measure(each.file, limits), missing, jobs):
            key = _key(candidate, limits)
            file.write(json.dumps([key, asdict(measured)]) + "\n")
            known[key] = measured
            advance(candidate.file.name)
    result = _select(candidates, known, out.parent, limits)
    if not result.entries:
        reasons = ", ".join(sorted({skipped.reason for skipped in result.skipped})) or "there are no audio files"
        raise UserError(f"{out}: nothing to put into it: {reasons}")
    result = with_validation(result)
    manifest.write(out, result.entries)
    lines = (_to_line(skipped) for skipped in result.skipped)
    write_text(out.with_suffix(".left-out.jsonl"), "".join(lines))
    notes.unlink()
    return result


def with_validation(index: Index) -> Index:
    """Move a recording to the split valid if a small data set has none there, as no training could be validated.

    It is the first one by fingerprint, which is as good as random, with all others of its creator, so that no voice or
    artist is in two splits; or alone if there is no other creator.
    """
    train = [entry for entry in index.entries if entry.split == "train"]
    if len(train) < 2 or any(entry.split == "valid" for entry in index.entries):
        return index
    first = min(train, key=lambda entry: entry.fingerprint)
    of_creator = [entry for entry in train if entry is first or (first.creator and entry.creator == first.creator)]
    moved = {entry.path for entry in (of_creator if len(of_creator) < len(train) else [first])}
    entries = [replace(entry, split="valid") if entry.path in moved else entry for entry in index.entries]
    return Index(entries, index.skipped, tuple(sorted(moved)))


def _to_line(skipped: Skipped) -> str:
    data = {"kind" if name == "category" else name: value for name, value in asdict(skipped).items()}
    return json.dumps(data) + "\n"


def _key(candidate: Candidate, limits: Limits | None) -> str:
    file = candidate.file
    status = file.stat()
    return f"{'header' if limits is None else 'whole'} {status.st_size} {status.st_mtime_ns} {file.resolve()}"


def _read_notes(notes: Path) -> Iterator[tuple[str, Measured]]:
    """Measurements of an interrupted call; the last line may be incomplete."""
    if not notes.exists():
        return
    for line in notes.read_text(encoding="utf-8").split("\n"):
        try:
            key, data = json.loads(line)
        except ValueError:
            continue
        yield key, Measured(**{**data, "quality": data["quality"] and Quality(**data["quality"])})


def _measure(path: Path, limits: Limits | None) -> Measured:
    try:
        if limits is None:
            info = soundfile.info(path)
            if info.frames == 0:
                return Measured(unusable="no samples in it")
            return Measured(info.frames / info.samplerate, info.samplerate, info.channels, manifest.fingerprint(path))
        recording = audio.read(path)
    except UnicodeEncodeError:
        return Measured(unusable="its name is not UTF-8: rename it")
    except soundfile.LibsndfileError:
        return Measured(unusable="not readable as audio")
    except UserError as error:
        return Measured(unusable=str(error).removeprefix(f"{path}: "))
    return Measured(
        recording.seconds,
        recording.sample_rate,
        recording.samples.shape[0],
        manifest.fingerprint(path),
        measure(recording),
    )


def _select(candidates: Sequence[Candidate], known: dict[str, Measured], folder: Path, limits: Limits | None) -> Index:
    """Divide candidates into entries of a manifest in `folder` and skipped recordings."""
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    taken: set[str] = set()
    for candidate in candidates:
        measured = known[_key(candidate, limits)]
        path = Path(os.path.relpath(candidate.file.absolute(), folder.absolute())).as_posix()
        reason = measured.unusable
        if reason is None and measured.fingerprint in taken:
            reason = "a copy of another"
        if reason is None and limits is not None and measured.quality is not None:
            reason = limits.rejection(candidate.category, measured.seconds, measured.quality)
        if reason is not None:
            skipped.append(Skipped(path, candidate.category, measured.seconds, reason))
            continue
        taken.add(measured.fingerprint)
        entries.append(
            Entry(
                path=path,
                dataset=candidate.dataset,
                category=candidate.category,
                split=candidate.split,
                creator=candidate.creator,
                licence=candidate.licence,
                seconds=round(measured.seconds, 3),
                sample_rate=measured.sample_rate,
                channels=measured.channels,
                fingerprint=measured.fingerprint,
            )
        )
    return Index(entries, skipped)
