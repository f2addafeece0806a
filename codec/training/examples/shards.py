"""Shards: a corpus, decoded once at one sample rate, in a few large files that are memory-mapped.

A folder of shards holds
    format.json      {"format": "earmark.shards", "version": 1, "sample_rate": 24000, "channels": 1}
    index.jsonl      one line per recording; named index.part.jsonl until all are written
    shard-0000.pcm   16-bit little-endian samples, channels interleaved, recordings concatenated
Each recording is normalised such that its largest sample over all channels is at full scale. Recordings are sorted by
fingerprint, so any beginning of the corpus is a fair sample of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from earmark.codec.audio import Audio, Pcm
from earmark.codec.datasets import manifest
from earmark.codec.datasets.manifest import Entry
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import require_own, write_text
from earmark.codec.in_order import in_order
from earmark.codec.lock import locked
from earmark.codec.progress import progress
from earmark.codec.training.examples.shard_sources import FULL_SCALE, decode, wanted

BYTES = 2  # per sample
SHARD_BYTES = 1_000_000_000
FORMAT = "format.json"
INDEX = "index.jsonl"
UNFINISHED = "index.part.jsonl"


@dataclass(frozen=True)
class Part:
    """Samples `start` to `start + frames` of every channel in one shard, given by its number."""

    shard: int
    start: int
    frames: int


@dataclass(frozen=True)
class Stored:
    """A recording and the position of its samples, which may extend over several shards.

    Recordings that are silent or cannot be read have no parts.
    """

    entry: Entry
    parts: tuple[Part, ...]

    @property
    def frames(self) -> int:
        """Number of samples per channel."""
        return sum(part.frames for part in self.parts)


class Shards:
    """A folder of shards, opened for reading.

    Raises:
        UserError: the folder is missing, unfinished or of another version, or a file is missing or cut short.
    """

    def __init__(self, folder: Path) -> None:
        about = _format(folder)
        if not (folder / INDEX).is_file():
            raise UserError(f"{folder}: unfinished shards; run `earmark data shards` again to continue")
        self.folder = folder
        self.sample_rate: int = about["sample_rate"]
        self.channels: int = about["channels"]
        self.recordings = [stored for stored in _stored(folder / INDEX) if stored.parts]
        self._ends: dict[int, int] = {}
        for part in (part for stored in self.recordings for part in stored.parts):
            self._ends[part.shard] = max(self._ends.get(part.shard, 0), part.start + part.frames)
        for shard, frames in self._ends.items():
            path = _path(folder, shard)
            if not path.is_file() or path.stat().st_size < frames * self.channels * BYTES:
                raise UserError(f"{path}: missing or cut short; copy it again or make the shards again")

    def read(self, stored: Stored, start: int, frames: int) -> Audio:
        """Read part of a recording.

        Args:
            stored: recording.
            start: first sample; may be negative.
            frames: number of samples per channel.

        Returns:
            Samples in [-1, 1], [channels, frames]; zero before the beginning and after the end of the recording.
        """
        excerpt = np.zeros((self.channels, frames), np.float32)
        for part in stored.parts:
            first, last = max(start, 0), min(start + frames, part.frames)
            if first < last:
                samples = self._maps[part.shard][part.start + first : part.start + last]
                np.multiply(samples.T, np.float32(1 / FULL_SCALE), out=excerpt[:, first - start : last - start])
            start -= part.frames
        return excerpt

    @cached_property
    def _maps(self) -> dict[int, Pcm]:
        """Memory-mapped samples by shard, [frames, channels]."""
        return {
            shard: np.memmap(_path(self.folder, shard), "<i2", "r", shape=(frames, self.channels))
            for shard, frames in self._ends.items()
        }

    def __getstate__(self) -> Mapping[str, Any]:
        """The state without the maps: worker processes map the same memory instead of receiving a copy."""
        return {name: value for name, value in vars(self).items() if name != "_maps"}


def write(
    manifests: Sequence[Path],
    folder: Path,
    *,
    sample_rate: int,
    channels: int,
    shard_bytes: int = SHARD_BYTES,
    hours: float | None = None,
    jobs: int = 2,
) -> list[Stored]:
    """Decode the recordings of manifests into shards. Continues where an interrupted call stopped.

    Recordings are resampled. Mono is repeated to make stereo, stereo is averaged to make mono.

    Args:
        manifests: manifests of the recordings.
        folder: folder for the shards.
        sample_rate: in Hz.
        channels: 1 or 2.
        shard_bytes: largest size of a shard.
        hours: approximate amount of audio to take, as a fair sample of the corpus. Default: all.
        jobs: threads that decode.

    Returns:
        All recordings, including those without samples because they are silent or damaged.

    Raises:
        UserError: a manifest cannot be read, or the folder holds shards of other recordings or another format.
        WriteError: the folder cannot be written or the disk is full.
    """
    about = {"format": "earmark.shards", "version": 1, "sample_rate": sample_rate, "channels": channels}
    require_own(folder, (FORMAT, INDEX, UNFINISHED), (_path(folder, 0).name,))
    if (folder / FORMAT).exists() and _format(folder) != about:
        raise UserError(f"--out {folder}: holds shards of another sample rate or channel number; name another folder")
    with locked(folder):
        return _write(manifests, folder, about, shard_bytes, hours, jobs)


def _write(
    manifests: Sequence[Path], folder: Path, about: Mapping[str, Any], shard_bytes: int, hours: float | None, jobs: int
) -> list[Stored]:
    chosen = wanted(manifests, hours)
    sample_rate, channels = about["sample_rate"], about["channels"]
    finished = (folder / INDEX).exists()
    done = list(_stored(folder / (INDEX if finished else UNFINISHED)))
    same = [stored.entry for stored in done] == [entry for entry, _ in chosen[: len(done)]]
    if not same or (finished and len(done) < len(chosen)):
        raise UserError(f"--out {folder}: holds shards of other recordings; name another folder or remove it")
    if finished:
        return done
    rest = chosen[len(done) :]
    if missing := [file for _, file in rest if not file.is_file()]:
        raise UserError(f"{missing[0]}: does not exist; the paths in a manifest are relative to its folder")
    write_text(folder / FORMAT, json.dumps(about) + "\n")
    try:
        with (
            _Writer(folder, done, channels, shard_bytes) as writer,
            progress("shards", len(rest)) as advance,
        ):
            for (entry, _), samples in in_order(lambda item: decode(item[1], sample_rate, channels), rest, jobs):
                done.append(writer.append(entry, samples))
                advance(entry.path)
        if not any(stored.parts for stored in done):
            raise UserError(f"{manifests[0]}: every recording is silent or cannot be read; nothing to train on")
        if len(list(_stored(folder / UNFINISHED))) != len(chosen):
            raise WriteError(f"{folder}: another process writes to it too; remove it and make the shards again")
        (folder / UNFINISHED).replace(folder / INDEX)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return done


class _Writer:
    """Appends recordings to shards. A recording is added to the index once its samples are written.

    Args:
        folder: folder of the shards.
        done: recordings in the index. Samples beyond them, left by an interrupted call, are removed.
        channels: number of channels.
        shard_bytes: largest size of a shard.
    """

    def __init__(self, folder: Path, done: Sequence[Stored], channels: int, shard_bytes: int) -> None:
        last = max((part for stored in done for part in stored.parts), key=_end, default=Part(0, 0, 0))
        self._folder, self._number = folder, last.shard
        self._room = max(1, shard_bytes // (channels * BYTES))  # samples per channel in a shard
        self._used = last.start + last.frames
        self._shard = _path(folder, last.shard).open("ab")
        self._shard.truncate(self._used * channels * BYTES)
        write_text(folder / UNFINISHED, "".join(map(_to_line, done)))
        self._index = (folder / UNFINISHED).open("a", encoding="utf-8")

    def append(self, entry: Entry, samples: Pcm) -> Stored:
        """Append the samples of a recording, [frames, channels]."""
        parts = []
        while len(samples):
            if self._used == self._room:
                self._shard.close()
                self._number, self._used = self._number + 1, 0
                self._shard = _path(self._folder, self._number).open("wb")
            fitting, samples = np.split(samples, [self._room - self._used])
            self._shard.write(fitting.tobytes())
            parts.append(Part(self._number, self._used, len(fitting)))
            self._used += len(fitting)
        self._shard.flush()
        stored = Stored(entry, tuple(parts))
        self._index.write(_to_line(stored))
        self._index.flush()
        return stored

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._shard.close()
        self._index.close()


def _path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:04d}.pcm"


def _end(part: Part) -> tuple[int, int]:
    return part.shard, part.start + part.frames


def _format(folder: Path) -> dict[str, Any]:
    path = folder / FORMAT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no shards here; make them from a manifest with `earmark data shards`") from error
    if not isinstance(about, dict) or (about.get("format"), about.get("version")) != ("earmark.shards", 1):
        raise UserError(f"{path}: shards of another version; make them again")
    return about


def _stored(index: Path) -> Iterator[Stored]:
    """Read an index; empty if there is none. An incomplete last line is ignored."""
    if not index.exists():
        return
    for line in index.read_text(encoding="utf-8").split("\n")[:-1]:
        try:
            data = json.loads(line)
            yield Stored(manifest.entry_from(data["entry"]), tuple(Part(*part) for part in data["parts"]))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{index}: damaged; remove its folder and make the shards again") from error


def _to_line(stored: Stored) -> str:
    parts = [(part.shard, part.start, part.frames) for part in stored.parts]
    return json.dumps({"entry": manifest.to_json(stored.entry), "parts": parts}) + "\n"
