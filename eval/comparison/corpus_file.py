"""A corpus file: which folders make up a test set, under which categories, and which excerpts are taken of them.

seed = 7                        # of every random choice; the same file gives the same excerpts everywhere
[[folders]]
path = "dns4"                   # relative to this file, or a URL
layout = "dns4"                 # as `earmark data index` knows it; all below the folder unless told
split = "test"                  # of the layout; test unless told
category = "noisy speech"
pattern = "**/*.wav"            # all recordings unless told
count = 50                      # recordings, drawn at random; all unless told
seconds = 10                    # of each, from a random place; whole recordings unless told
[folders.add]                   # a sound mixed into each, drawn at random
path = "fsd50k"                 # path, layout, split and pattern as above
snr_db = [0, 5, 10]             # drawn for each recording
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import soundfile

from earmark.codec.datasets.manifest import SPLITS
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import local_copy, path_or_url
from earmark.eval.comparison.corpus import Source, audio_files
from earmark.eval.comparison.mixture import Added

PLACE: dict[str, tuple[type, ...]] = {"path": (str,), "layout": (str,), "split": (str,), "pattern": (str,)}
KEYS = {**PLACE, "category": (str,), "count": (int,), "seconds": (int, float), "add": (dict,)}
ADDED_KEYS = {**PLACE, "snr_db": (list,)}


def read_corpus(file: Path, leave_out: Path | None = None) -> list[Source]:
    """The recordings, or excerpts of them, that a corpus file names, in its order and by name within a folder.

    Args:
        leave_out: a folder that may lie inside one of its folders, of results.

    Raises:
        UserError: not TOML, an unknown or impossible value, a folder that is not there or has too few recordings; it
            names the folder's entry.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: no corpus file: {error}") from error
    seed, folders = content.pop("seed", 0), content.pop("folders", [])
    if content or not isinstance(seed, int) or not isinstance(folders, list) or not folders:
        raise UserError(f"{file}: write a whole number `seed` and [[folders]], and nothing else beside them")
    sources: dict[str, Source] = {}
    for number, entry in enumerate(folders, 1):
        place = f"{file}: folder {number}"
        _check(place, entry)
        for source in _of_folder(place, file.parent, entry, seed, leave_out):
            if source.file in sources:
                raise UserError(f"{place}: {source.file} comes from an earlier folder, too; give another category")
            sources[source.file] = source
    return list(sources.values())


def _check(place: str, entry: Any) -> None:
    if not isinstance(entry, dict) or not {"path", "category"} <= entry.keys():
        raise UserError(f"{place}: needs `path` and `category`")
    _check_values(place, entry, KEYS)
    if "/" in entry["category"] or entry["category"] in ("", "all"):
        raise UserError(f"{place}: category must be a name without a slash, and not `all`")
    if "add" in entry:
        added = entry["add"]
        _check_values(f"{place}: add", added, ADDED_KEYS)
        ratios = added.get("snr_db", [])
        if "path" not in added or not ratios or not all(type(ratio) in (int, float) for ratio in ratios):
            raise UserError(f"{place}: add: needs `path` and `snr_db`, a list of ratios in dB")


def _check_values(place: str, entry: Mapping[str, Any], keys: Mapping[str, tuple[type, ...]]) -> None:
    for key, value in entry.items():
        if key not in keys:
            raise UserError(f"{place}: {key} is unknown; there are {', '.join(keys)}")
        fits = isinstance(value, keys[key]) and not isinstance(value, bool)
        if not fits or (isinstance(value, int | float) and value <= 0) or (key == "split" and value not in SPLITS):
            raise UserError(f"{place}: {key} = {value!r} is not possible")


def _of_folder(
    place: str, root: Path, entry: Mapping[str, Any], seed: int, leave_out: Path | None
) -> list[Source]:  # fmt: skip
    category = entry["category"]
    folder, names = _recordings(place, root, entry, leave_out)
    count = entry.get("count", len(names))
    if not names or len(names) < count:
        raise UserError(f"{place}: {folder} has {len(names)} recordings that fit, not {max(1, count)}")
    # Each choice has a seed of its own, so that a folder more or less changes nothing in the others.
    drawn = sorted(random.Random(f"{seed} {category} {entry['path']}").sample(names, count))
    sounds: list[Path] = []
    if "add" in entry:
        beside, others = _recordings(f"{place}: add", root, entry["add"], leave_out)
        if not others:
            raise UserError(f"{place}: add: {beside} has no recordings that fit")
        sounds = [beside / name for name in others]
    sources = []
    for name in drawn:
        chance = random.Random(f"{seed} {category} {name}")
        excerpt = None
        if "seconds" in entry:
            excerpt = (_start(chance, folder / name, entry["seconds"]), float(entry["seconds"]))
        added = None
        if sounds:
            sound = chance.choice(sounds)
            added = Added(
                sound, _start(chance, sound, entry.get("seconds", 0.0)), chance.choice(entry["add"]["snr_db"])
            )
        sources.append(Source(f"{category}/{name}", folder / name, category, excerpt, added))
    return sources


def _recordings(
    place: str, root: Path, entry: Mapping[str, Any], leave_out: Path | None
) -> tuple[Path, list[str]]:  # fmt: skip
    """A folder, and the paths below it of the recordings that an entry names, sorted."""
    folder = path_or_url(entry["path"]) if "://" in entry["path"] else root / entry["path"]
    if not folder.is_dir():
        raise UserError(f"{place}: {folder} is no folder")
    paths = set(audio_files(folder, leave_out))
    if "pattern" in entry:
        paths.intersection_update(folder.glob(entry["pattern"]))
    if "layout" in entry:
        from earmark.codec.datasets.layouts import LAYOUTS

        if entry["layout"] not in LAYOUTS:
            raise UserError(f"{place}: layout {entry['layout']} is unknown; there are {', '.join(LAYOUTS)}")
        split = entry.get("split", "test")
        paths.intersection_update(found.file for found in LAYOUTS[entry["layout"]](folder) if found.split == split)
    elif "split" in entry:
        raise UserError(f'{place}: split: only a layout has splits; name it, e.g. layout = "dns4"')
    return folder, sorted(path.relative_to(folder).as_posix() for path in paths)


def _start(chance: random.Random, path: Path, seconds: float) -> float:
    """Where an excerpt begins, in seconds; at the start where the recording is no longer than it."""
    try:
        with local_copy(path) as local:
            duration = soundfile.info(str(local)).duration
    except (OSError, RuntimeError, UserError):  # whatever is wrong with it, the run will say, and go on
        duration = 0.0
    return round(chance.uniform(0, max(0.0, duration - seconds)), 3)
