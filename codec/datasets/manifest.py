"""Manifests: JSON Lines files that list the recordings to train on."""

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

Category = Literal["speech", "music", "sound"]  # the paper's domains; "sound" is its "general audio"
Split = Literal["train", "valid", "test"]

CATEGORIES: tuple[Category, ...] = get_args(Category)
SPLITS: tuple[Split, ...] = get_args(Split)

FINGERPRINTED = 65536  # bytes read from either end of a file


@dataclass(frozen=True)
class Entry:
    """A recording in a manifest.

    Args:
        path: audio file, relative to the folder of the manifest, with forward slashes.
        dataset: name of its data set, e.g. "jamendo".
        category: speech, music or sound; in files the key is "kind".
        creator: speaker, artist, or another name that must not occur in two splits; None if unknown.
        licence: SPDX identifier, or the data set's own words.
        seconds: duration.
        sample_rate: rate of the file in Hz.
        channels: number of channels of the file.
        fingerprint: identifies the content, see fingerprint().
    """

    path: str
    dataset: str
    category: Category
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


# Keys of an entry in a file, in order, each with a test of its value.
FIELDS: dict[str, Callable[[object], bool]] = {
    "path": _is_text,
    "dataset": _is_text,
    "kind": lambda value: value in CATEGORIES,
    "split": lambda value: value in SPLITS,
    "creator": lambda value: value is None or _is_text(value),
    "licence": _is_text,
    "seconds": lambda value: type(value) in (int, float) and 0 <= value < math.inf,  # type: ignore[operator]
    "sample_rate": _is_count,
    "channels": _is_count,
    "fingerprint": _is_text,
}


def split_of(key: str, valid: float, test: float) -> Split:
    """Assign a key to a split by its hash, so that adding or removing other files never moves it.

    Args:
        key: data set and recording, or data set and creator if a creator's recordings must stay together.
        valid: share of the validation split, in [0, 1].
        test: share of the test split; the rest is for training.
    """
    chance = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if chance < valid:
        return "valid"
    return "test" if chance < valid + test else "train"


def fingerprint(path: Path) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a file's length and its first and last 64 KiB.

    Distinguishes recordings and detects copies without reading whole collections.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256(length.to_bytes(8, "big") + file.read(FINGERPRINTED))
        file.seek(max(FINGERPRINTED, length - FINGERPRINTED))
        digest.update(file.read())
    return digest.hexdigest()[:32]


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a manifest atomically.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    write_text(path, "".join(to_line(entry) for entry in entries))


def to_line(entry: Entry) -> str:
    """The line of a manifest, line feed included."""
    return json.dumps(to_json(entry)) + "\n"


def to_json(entry: Entry) -> dict[str, object]:
    """An entry under the keys that it has in files."""
    return {"kind" if name == "category" else name: value for name, value in asdict(entry).items()}


def read(path: Path) -> list[Entry]:
    """Read a manifest.

    Raises:
        UserError: the file is missing, empty, or has an invalid line, whose number is given.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as a manifest; `earmark data index` makes one") from error
    if lines == [""]:
        raise UserError(f"{path}: an empty manifest: no recordings to train on")
    return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _parse(line: str, position: str) -> Entry:
    try:
        return entry_from(json.loads(line))
    except (ValueError, TypeError) as error:
        raise UserError(f"{position}: not an entry of a manifest ({error}); `earmark data index` makes one") from error


def entry_from(data: object) -> Entry:
    """Make an entry of a parsed JSON value.

    Raises:
        ValueError: the value is not an object with exactly the keys of an entry, each of the right type.
    """
    if not isinstance(data, dict) or data.keys() != FIELDS.keys():
        raise ValueError(f"its fields must be {', '.join(FIELDS)}")
    for name, fits in FIELDS.items():
        if not fits(data[name]):
            raise ValueError(f"{name} cannot be {data[name]!r}")
    return Entry(**{"category" if name == "kind" else name: value for name, value in data.items()})
