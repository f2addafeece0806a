"""Cleaning a run: records that were replaced, decoded audio that belongs to nothing, remains of interrupted writing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from earmark.codec.errors import WriteError
from earmark.eval.comparison import records
from earmark.eval.comparison.run_folder import REFERENCE, audio_path, read_info, read_scores, written_by_one
from earmark.eval.comparison.stamps import stamp

YOUNG = 3600.0  # seconds; a command that is running may still need younger files


@dataclass(frozen=True)
class Garbage:
    """Files that a run does not need.

    Args:
        audio: decoded files that neither a score nor a record refers to.
        parts: files that a command was writing when it was interrupted.
        records: files of records to be replaced by one.
        rows, kept: number of records in them, and of those that count.
    """

    audio: tuple[Path, ...]
    parts: tuple[Path, ...]
    records: tuple[Path, ...]
    rows: int
    kept: int

    @property
    def size(self) -> int:
        """Bytes in the files that are deleted, without records."""
        return sum(path.stat().st_size for path in (*self.audio, *self.parts))


def find(run: Path, *, unfinished: bool = False) -> Garbage:
    """Look for what a run does not need; files of the last hour are left alone.

    Args:
        unfinished: count decoded audio of interrupted or earlier commands, too, which another one could use again.

    Raises:
        UserError: it is not a finished run.
    """
    scores, info = read_scores(run), read_info(run)
    pairs = set(zip(scores["file"], scores["system"], strict=True))
    pairs |= {(entry["file"], REFERENCE) for entry in info["recordings"]}
    needed = {audio_path(run, str(system), str(file)) for file, system in pairs}
    old = [path for path in (run / "audio").rglob("*") if path.is_file() and _is_old(path)]
    stamps = {path: stamp(path) for path in (run / "audio").rglob("*.wav") if path.is_file()}
    table = records.table(run)
    known = set(table.column("audio_stamp").to_pylist())
    parts = tuple(path for path in (*old, *_old_files(run.glob(".*.part"))) if path.suffix == ".part")
    audio = tuple(
        path for path in old
        if path.suffix == ".wav" and path not in needed and (unfinished or stamps[path] not in known)
    )  # fmt: skip
    left = {value for path, value in stamps.items() if path not in audio}
    keys = table.column("key").to_pylist()
    last = {key: row for row, key in enumerate(keys)}
    kept = sum(value in left for value in table.take(sorted(last.values())).column("audio_stamp").to_pylist())
    files = tuple(sorted((run / records.FOLDER).glob("*.parquet")))
    return Garbage(audio, parts, files if kept < len(keys) else (), len(keys), kept)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > YOUNG


def _old_files(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file() and _is_old(path)]


def clean(run: Path, garbage: Garbage) -> None:
    """Delete what `find` found, and write the records that count into one file.

    Raises:
        WriteError: the folder cannot be written.
    """
    with written_by_one(run):
        try:
            for path in (*garbage.audio, *garbage.parts):
                path.unlink(missing_ok=True)
            folders = sorted((run / "audio").rglob("*"), key=lambda path: -len(path.parts))
            for folder in folders:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        except OSError as error:
            raise WriteError(f"{run}: cannot be cleaned: {error.strerror or error}") from error
        if garbage.records:
            there = {stamp(path) for path in (run / "audio").rglob("*.wav")}
            records.compact(run, garbage.records, there)
