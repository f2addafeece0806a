"""Manifests: which recordings there are to train on, one JSON object a line."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from earmark.codec.errors import UserError
from earmark.codec.files import write_text

Kind = Literal["speech", "music", "sound"]  # the paper's domains; sound is its "general audio"
Split = Literal["train", "valid", "test"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SPLITS: tuple[Split, ...] = get_args(Split)

FINGERPRINTED = 65536  # bytes, of the file's beginning and as many of its end


@dataclass(frozen=True)
class Entry:
    """One recording.

    Args:
        path: of the audio file, relative to the folder of the manifest, with forward slashes.
        dataset: what it belongs to, e.g. "jamendo".
        creator: speaker or artist, or whatever else must not be in two splits; None if unknown.
        licence: SPDX identifier, or the data set's own words.
        seconds, sample_rate, channels: as the file says; Hz.
        fingerprint: of its bytes, by fingerprint().
    """

    path: str
    dataset: str
    kind: Kind
    split: Split
    creator: str | None
    licence: str
    seconds: float
    sample_rate: int
    channels: int
    fingerprint: str


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


FIELDS: dict[str, Callable[[object], bool]] = {
    "path": _is_text,
    "dataset": _is_text,
    "kind": lambda value: value in KINDS,
    "split": lambda value: value in SPLITS,
    "creator": lambda value: value is None or _is_text(value),
    "licence": _is_text,
    "seconds": lambda value: type(value) in (int, float) and 0 <= value < math.inf,  # type: ignore[operator]
    "sample_rate": _is_count,
    "channels": _is_count,
    "fingerprint": _is_text,
}


def split_of(key: str, valid: float, test: float) -> Split:
    """The split that a key falls into by chance, always the same: no other file's coming or going moves it.

    Args:
        key: names the recording, or the creator whose recordings must stay together, and the data set.
        valid, test: shares in [0, 1]; what is left is for training.
    """
    chance = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if chance < valid:
        return "valid"
    return "test" if chance < valid + test else "train"


def fingerprint(path: Path) -> str:
    """32 hexadecimal digits of the SHA-256 over a file's length and its first and last 64 KiB.

    It tells recordings apart and finds copies without reading whole collections.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256(length.to_bytes(8, "big") + file.read(FINGERPRINTED))
        file.seek(max(FINGERPRINTED, length - FINGERPRINTED))
        digest.update(file.read())
    return digest.hexdigest()[:32]


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a manifest, whole or not at all.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    write_text(path, "".join(to_line(entry) for entry in entries))


def to_line(entry: Entry) -> str:
    """The line of a manifest, with its end."""
    return json.dumps(asdict(entry)) + "\n"


def read(path: Path) -> list[Entry]:
    """Read a manifest.

    Raises:
        UserError: no such file, empty, or a line that is not an entry; it names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as a manifest; `earmark data index` makes one") from error
    if lines == [""]:
        raise UserError(f"{path}: an empty manifest: no recordings to train on")
    return [_entry(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _entry(line: str, place: str) -> Entry:
    try:
        return entry_from(json.loads(line))
    except (ValueError, TypeError) as error:
        raise UserError(f"{place}: not an entry of a manifest ({error}); `earmark data index` makes one") from error


def entry_from(data: object) -> Entry:
    """An entry of what json.loads() gave.

    Raises:
        ValueError: not an object with exactly the fields of an entry, each of its type.
    """
    if not isinstance(data, dict) or data.keys() != FIELDS.keys():
        raise ValueError(f"its fields must be {', '.join(FIELDS)}")
    for name, fits in FIELDS.items():
        if not fits(data[name]):
            raise ValueError(f"{name} cannot be {data[name]!r}")
    return Entry(**data)
