"""From the files of a data set to its manifest: measured, screened if asked for, copies left out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import soundfile

from earmark.codec import audio
from earmark.codec.datasets import manifest
from earmark.codec.datasets.manifest import Entry, Kind, Split
from earmark.codec.datasets.screening import Limits, Quality, measure
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.in_order import in_order
from earmark.codec.progress import progress


@dataclass(frozen=True)
class Found:
    """A recording of a data set, not opened yet; the fields are those of manifest.Entry."""

    file: Path
    dataset: str
    kind: Kind
    split: Split
    creator: str | None
    licence: str


@dataclass(frozen=True)
class LeftOut:
    """A recording that did not get into the manifest, and why; seconds are 0 if it could not be read."""

    path: str
    kind: Kind
    seconds: float
    reason: str


@dataclass(frozen=True)
class Index:
    """What became of the recordings of a data set."""

    entries: list[Entry]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class Measured:
    """What reading a file told: everything, or only why it cannot be used."""

    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    fingerprint: str = ""
    quality: Quality | None = None
    unusable: str | None = None


def index(recordings: Sequence[Found], out: Path, limits: Limits | None = None, jobs: int = 2) -> Index:
    """Write the manifest `out`, and what was left out beside it as NAME.left-out.jsonl.

    What was measured is noted as it comes, so that an interrupted index goes on where it stopped.

    Args:
        recordings: in the order that the manifest is to have.
        limits: decode every file and leave out what does not keep to them; None to read no more than its header.

    Raises:
        UserError: no recordings, or none that can be used.
        WriteError: the manifest cannot be written.
    """
    notes = out.with_name(f".{out.name}.measured")
    known = dict(_noted(notes))
    missing = [found for found in recordings if _key(found, limits) not in known]
    notes.parent.mkdir(parents=True, exist_ok=True)
    with (
        notes.open("a", buffering=1, encoding="utf-8") as file,
        progress("index", len(missing)) as advance,
    ):
        for found, measured in in_order(lambda found: _measured(found.file, limits), missing, jobs):
            key = _key(found, limits)
            file.write(json.dumps([key, asdict(measured)]) + "\n")
            known[key] = measured
            advance(found.file.name)
    result = _decided(recordings, known, out.parent, limits)
    if not result.entries:
        reasons = ", ".join(sorted({left.reason for left in result.left_out})) or "there are no audio files"
        raise UserError(f"{out}: nothing to put into it: {reasons}")
    manifest.write(out, result.entries)
    lines = (json.dumps(asdict(left)) + "\n" for left in result.left_out)
    write_text(out.with_suffix(".left-out.jsonl"), "".join(lines))
    notes.unlink()
    return result


def _key(found: Found, limits: Limits | None) -> str:
    about = found.file.stat()
    return f"{'header' if limits is None else 'whole'} {about.st_size} {about.st_mtime_ns} {found.file.resolve()}"


def _noted(notes: Path) -> Iterator[tuple[str, Measured]]:
    """What an interrupted index had measured; its last line may be incomplete."""
    if not notes.exists():
        return
    for line in notes.read_text(encoding="utf-8").split("\n"):
        try:
            key, data = json.loads(line)
        except ValueError:
            continue
        yield key, Measured(**{**data, "quality": data["quality"] and Quality(**data["quality"])})


def _measured(path: Path, limits: Limits | None) -> Measured:
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


def _decided(recordings: Sequence[Found], known: dict[str, Measured], folder: Path, limits: Limits | None) -> Index:
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    taken: set[str] = set()
    for found in recordings:
        measured = known[_key(found, limits)]
        path = Path(os.path.relpath(found.file.absolute(), folder.absolute())).as_posix()
        reason = measured.unusable
        if reason is None and measured.fingerprint in taken:
            reason = "a copy of another"
        if reason is None and limits is not None and measured.quality is not None:
            reason = limits.refusal(found.kind, measured.seconds, measured.quality)
        if reason is not None:
            left_out.append(LeftOut(path, found.kind, measured.seconds, reason))
            continue
        taken.add(measured.fingerprint)
        entries.append(
            Entry(
                path=path,
                dataset=found.dataset,
                kind=found.kind,
                split=found.split,
                creator=found.creator,
                licence=found.licence,
                seconds=round(measured.seconds, 3),
                sample_rate=measured.sample_rate,
                channels=measured.channels,
                fingerprint=measured.fingerprint,
            )
        )
    return Index(entries, left_out)
