"""The audio files of a folder, and what is in it besides: files of other types, folders that cannot be read, links."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from earmark.codec.audio import SUFFIXES
from earmark.codec.remote_paths import Version, is_remote, remote_files
from earmark.codec.text import counted
from earmark.eval.comparison.run_folder import INFO

SHOWN = 3  # links in a line


@dataclass
class Listing:
    """Contents of a folder.

    Attributes:
        audio: audio files, those of linked folders included; hidden files and the folders of runs are not.
        skipped: suffix -> number of other files.
        unreadable: folder -> why it cannot be read.
        repeated: links to folders that are read already, under their own names.
        versions: URL -> its version, see `remote_files`; none for local files.
    """

    folder: Path
    audio: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: dict[Path, str] = field(default_factory=dict)
    repeated: list[Path] = field(default_factory=list)
    versions: dict[str, Version | None] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """The files left out, one line each."""
        lines = []
        if self.skipped:
            counts = sorted(self.skipped.items(), key=lambda item: (-item[1], item[0]))
            kinds = ", ".join(f"{suffix or 'without suffix'} {count}" for suffix, count in counts)
            lines.append(f"{self.folder}: {counted(self.skipped.total(), 'file')} skipped: {kinds}")
        if self.repeated:
            names = ", ".join(link.name for link in self.repeated[:SHOWN])
            more = f" and {len(self.repeated) - SHOWN} more" if len(self.repeated) > SHOWN else ""
            lines.append(f"{self.folder}: links to folders that are read under their own names: {names}{more}")
        return lines

    @property
    def failures(self) -> list[str]:
        """The folders that cannot be read, in one line each."""
        return [f"{folder}: {reason}; its recordings are missing" for folder, reason in self.unreadable.items()]


def listed(folder: Path, leave_out: Path | None = None, suffixes: tuple[str, ...] = SUFFIXES) -> Listing:
    """Look through a folder and its sub-folders.

    Linked folders are read last, so that each recording has the name of its own place in the folder if it has one.

    Args:
        leave_out: folder to skip, e.g. that of the results.
        suffixes: extensions of audio files, in lower case.
    """
    listing = Listing(folder)
    if is_remote(folder):
        _enter_remote(listing, leave_out, suffixes)
        return listing
    seen = {folder.resolve()} | ({leave_out.resolve()} if leave_out is not None else set())
    waiting: list[Path] = [folder]
    links: list[Path] = []
    while waiting or links:
        inside = waiting.pop() if waiting else links.pop(0)
        if inside != folder and inside.is_symlink():
            if (target := inside.resolve()) in seen:
                if leave_out is None or target != leave_out.resolve():
                    listing.repeated.append(inside)
                continue
            seen.add(target)
        for entry in _entries(inside, listing):
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            if not _is_folder(entry):
                _enter(listing, path, suffixes)
            elif entry.is_symlink():
                links.append(path)
            elif path.resolve() not in seen:
                seen.add(path.resolve())
                waiting.append(path)
    return listing


def _entries(folder: Path, listing: Listing) -> list[os.DirEntry[str]]:
    """List a folder by name; nothing if it is a run or cannot be read."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        listing.unreadable[folder] = error.strerror or str(error)
        return []
    return [] if any(entry.name == INFO for entry in entries) else entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _enter(listing: Listing, path: Path, suffixes: tuple[str, ...]) -> None:
    if not path.is_file():
        listing.skipped["broken link" if path.is_symlink() else "no file"] += 1
    elif path.suffix.lower() in suffixes:
        listing.audio.append(path)
    else:
        listing.skipped[path.suffix.lower()] += 1


def _enter_remote(listing: Listing, leave_out: Path | None, suffixes: tuple[str, ...]) -> None:
    versions = remote_files(listing.folder)
    paths = {name: listing.folder / name for name in versions}
    runs = {path.parent for path in paths.values() if path.name == INFO}
    runs |= {leave_out} if leave_out is not None else set()
    for name, path in paths.items():
        if any(part.startswith(".") for part in name.split("/")) or not runs.isdisjoint(path.parents):
            continue
        if path.suffix.lower() in suffixes:
            listing.audio.append(path)
            listing.versions[str(path)] = versions[name]
        else:
            listing.skipped[path.suffix.lower()] += 1
