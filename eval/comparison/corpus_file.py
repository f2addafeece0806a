"""Corpus files: the folders of a test set, their categories, and the excerpts to take.

seed = 7                        # of all random choices: the same file gives the same excerpts on every machine
[[folders]]
path = "dns4"                   # relative to this file, or a URL
layout = "dns4"                 # data-set layout of `earmark data index`; default: all recordings in the folder
split = "test"                  # split of the layout; default: test
category = "noisy speech"
pattern = "**/*.wav"            # default: all recordings
count = 50                      # number of recordings, drawn at random; default: all
seconds = 10                    # length of an excerpt at a random position; default: whole recordings
[folders.add]                   # a recording mixed into each, drawn at random
path = "fsd50k"                 # path, layout, split and pattern as above
snr_db = [0, 5, 10]             # one value is drawn for each recording
[folders.room]                  # a room for each recording and what is added to it
rt60 = [0.3, 1.3]               # range of the reverberation time in seconds; the default
path = "impulse_responses"      # measured responses, with pattern as above; default: simulated rooms
share = 0.5                     # of the recordings; default: all
[decoded]                       # as --decoded: systems whose decoded audio exists
"A@6" = "dec/A/{stem}.wav"      # relative to this file, or a URL
[bitstreams]                    # as --bitstreams
"A@6" = "bits/A"
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.codec.audio import read
from earmark.codec.audio.files import seconds as length_of
from earmark.codec.datasets.manifest import SPLITS
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import local_copy, path_or_url
from earmark.codec.training.examples.reverb import RT60, reverberation_time
from earmark.eval.comparison.corpus import RESERVED, Source, sha256
from earmark.eval.comparison.listing import listed
from earmark.eval.comparison.mixture import Added
from earmark.eval.comparison.room import Room

Table = Mapping[str, Any]  # a [[folders]] or [folders.add] table
FOLDER_KEYS: dict[str, tuple[type, ...]] = {"path": (str,), "layout": (str,), "split": (str,), "pattern": (str,)}
KEYS = {
    **FOLDER_KEYS, "category": (str,), "count": (int,), "seconds": (int, float), "add": (dict,), "room": (dict,),
}  # fmt: skip
DECODED = ("decoded", "bitstreams")  # tables of systems that are given by their decoded audio
ADDED_KEYS = {**FOLDER_KEYS, "snr_db": (list,)}
ROOM_KEYS: dict[str, tuple[type, ...]] = {"path": (str,), "pattern": (str,), "rt60": (list,), "share": (int, float)}


def read_corpus(file: Path, leave_out: Path | None = None) -> list[Source]:
    """Return the recordings or excerpts of a corpus file, in the order of its folders and by name within a folder.

    Args:
        leave_out: folder to skip, e.g. that of the results.

    Raises:
        UserError: not TOML, an unknown key, an invalid value, or a folder that is missing or has too few recordings.
            The message names the folder's number in the file.
    """
    content = _content(file)
    for name in DECODED:
        content.pop(name, None)
    seed, folders = content.pop("seed", 0), content.pop("folders", [])
    if content or not isinstance(seed, int) or not isinstance(folders, list) or not folders:
        raise UserError(
            f"{file}: write a whole number `seed` and [[folders]], and only [decoded] and [bitstreams] beside"
        )
    sources: dict[str, Source] = {}
    for number, table in enumerate(folders, 1):
        label = f"{file}: folder {number}"
        _check(label, table)
        for source in _sources(label, file.parent, table, seed, leave_out):
            if source.file in sources:
                raise UserError(f"{label}: {source.file} is in an earlier folder, too; choose another category")
            sources[source.file] = source
    return list(sources.values())


def _content(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: no corpus file: {error}") from error


def decoded_in(file: Path) -> dict[str, list[str]]:
    """The systems that a corpus file gives by their decoded audio, as values of --decoded and --bitstreams.

    Returns:
        "decoded" and "bitstreams" -> values such as "A@6=dec/A", relative to the folder of the file.

    Raises:
        UserError: not TOML, or one of the tables has other values than text.
    """
    values = {}
    for name in DECODED:
        table = _content(file).get(name, {})
        if not isinstance(table, dict) or not all(isinstance(path, str) for path in table.values()):
            raise UserError(f'{file}: [{name}]: write systems and their folders, as in "A@6" = "dec/A"')
        values[name] = [f"{system}={path}" for system, path in table.items()]
    return values


def _check(label: str, table: Any) -> None:
    if not isinstance(table, dict) or not {"path", "category"} <= table.keys():
        raise UserError(f"{label}: needs `path` and `category`")
    _check_values(label, table, KEYS)
    if "/" in table["category"] or table["category"] in ("", *RESERVED):
        raise UserError(f"{label}: category must be a name without a slash, and not `all` or `macro`")
    if "add" in table:
        added = table["add"]
        _check_values(f"{label}: add", added, ADDED_KEYS)
        ratios = added.get("snr_db", [])
        if "path" not in added or not ratios or not all(type(ratio) in (int, float) for ratio in ratios):
            raise UserError(f"{label}: add: needs `path` and `snr_db`, a list of ratios in dB")
    if "room" in table:
        _check_room(f"{label}: room", table["room"])


def _check_room(label: str, room: Table) -> None:
    _check_values(label, room, ROOM_KEYS)
    rt60 = room.get("rt60", list(RT60))
    if not all(type(value) in (int, float) for value in rt60) or len(rt60) != 2 or not 0 < rt60[0] <= rt60[1]:
        raise UserError(f"{label}: rt60: write the shortest and the longest reverberation time in seconds, [0.3, 1.3]")
    if room.get("share", 1) > 1:
        raise UserError(f"{label}: share: write a part of the recordings, up to 1")


def _check_values(label: str, table: Table, keys: Mapping[str, tuple[type, ...]]) -> None:
    for key, value in table.items():
        if key not in keys:
            raise UserError(f"{label}: {key} is unknown; there are {', '.join(keys)}")
        fits = isinstance(value, keys[key]) and not isinstance(value, bool)
        if not fits or (isinstance(value, int | float) and value <= 0) or (key == "split" and value not in SPLITS):
            raise UserError(f"{label}: {key} = {value!r} is not possible")


def _sources(label: str, root: Path, table: Table, seed: int, leave_out: Path | None) -> list[Source]:
    """Draw the recordings of one [[folders]] table.

    Each choice has a random generator of its own, so that another folder in the file changes none of these choices.
    """
    category = table["category"]
    folder, names = _recordings(label, root, table, leave_out)
    count = table.get("count", len(names))
    if not names or len(names) < count:
        raise UserError(f"{label}: {folder} has {len(names)} recordings that fit, not {max(1, count)}")
    drawn = sorted(random.Random(f"{seed} {category} {table['path']}").sample(names, count))
    others = _others(f"{label}: add", root, table["add"], leave_out) if "add" in table else []
    rooms = _rooms(f"{label}: room", root, table, leave_out)
    sources = []
    for name in drawn:
        chance = random.Random(f"{seed} {category} {name}")
        excerpt = added = None
        if "seconds" in table:
            excerpt = (_start(chance, folder / name, table["seconds"]), float(table["seconds"]))
        if others:
            other = chance.choice(others)
            start = _start(chance, other, table.get("seconds", 0.0))
            added = Added(other, start, chance.choice(table["add"]["snr_db"]))
        # A generator of its own: a room that is added to a folder leaves its excerpts and mixtures as they were.
        room = _room(random.Random(f"{seed} {category} {name} room"), table["room"], rooms) if "room" in table else None
        sources.append(Source(f"{category}/{name}", folder / name, category, excerpt, added, room))
    return sources


def _others(label: str, root: Path, table: Table, leave_out: Path | None) -> list[Path]:
    """The recordings of a [folders.add] or [folders.room] table."""
    folder, names = _recordings(label, root, table, leave_out)
    if not names:
        raise UserError(f"{label}: {folder} has no recordings that fit")
    return [folder / name for name in names]


def _rooms(label: str, root: Path, table: Table, leave_out: Path | None) -> list[Room]:
    """The rooms whose measured responses are given and have a reverberation time in the range; [] if simulated."""
    if "path" not in table.get("room", {}):
        return []
    lowest, highest = table["room"].get("rt60", RT60)
    rooms = []
    for path in _others(label, root, table["room"], leave_out):
        recording = read(path, max_channels=64)
        if lowest <= reverberation_time(recording.samples[0], recording.sample_rate) <= highest:
            rooms.append(Room(response=path, sha256=sha256(path)))
    if not rooms:
        raise UserError(f"{label}: no response has a reverberation time of {lowest:g} to {highest:g} s; change rt60")
    return rooms


def _room(chance: random.Random, table: Table, rooms: list[Room]) -> Room | None:
    """Draw the room of one recording; None if it is not among the share that gets one."""
    if chance.random() >= table.get("share", 1):
        return None
    if rooms:
        return chance.choice(rooms)
    return Room(chance.getrandbits(32), round(chance.uniform(*table.get("rt60", RT60)), 3))


def _recordings(label: str, root: Path, table: Table, leave_out: Path | None) -> tuple[Path, list[str]]:
    """The folder of a table, and the sorted paths in it of the recordings that fit the table."""
    folder = path_or_url(table["path"]) if "://" in table["path"] else root / table["path"]
    if not folder.is_dir():
        raise UserError(f"{label}: {folder} is not a folder")
    listing = listed(folder, leave_out)
    if listing.failures:  # a draw from what is left would be another one
        raise UserError(f"{label}: {listing.failures[0]}")
    paths = set(listing.audio)
    if "pattern" in table:
        paths.intersection_update(folder.glob(table["pattern"]))
    if "layout" in table:
        from earmark.codec.datasets.layouts import LAYOUTS

        if table["layout"] not in LAYOUTS:
            raise UserError(f"{label}: layout {table['layout']} is unknown; there are {', '.join(LAYOUTS)}")
        split = table.get("split", "test")
        entries = LAYOUTS[table["layout"]](folder)
        paths.intersection_update(entry.file for entry in entries if entry.split == split)
    elif "split" in table:
        raise UserError(f'{label}: split: only a layout has splits; name it, e.g. layout = "dns4"')
    return folder, sorted(path.relative_to(folder).as_posix() for path in paths)


def _start(chance: random.Random, path: Path, seconds: float) -> float:
    """Draw the start of an excerpt in seconds; 0 if the recording is not longer than the excerpt."""
    try:
        with local_copy(path) as local:
            duration = length_of(local)
    except (OSError, UserError):  # the run reports what is wrong with the file, and continues
        duration = 0.0
    return round(chance.uniform(0, max(0.0, duration - seconds)), 3)
