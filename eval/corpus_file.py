"""A corpus file: which folders make up a test set, under which categories, and which excerpts are taken of them.

seed = 7                        # of every random choice; the same file gives the same excerpts everywhere
[[folders]]
path = "dns/clean"              # relative to this file
category = "clean speech"
pattern = "**/*.wav"            # all recordings unless told
count = 50                      # recordings, drawn at random; all unless told
seconds = 10                    # of each, from a random place; whole recordings unless told
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import soundfile

from codec.audio import SUFFIXES
from codec.errors import UserError
from eval.corpus import Source

KEYS: dict[str, tuple[type, ...]] = {
    "path": (str,), "category": (str,), "pattern": (str,), "count": (int,), "seconds": (int, float),
}  # fmt: skip


def read_corpus(file: Path) -> list[Source]:
    """The recordings, or excerpts of them, that a corpus file names, in its order and by name within a folder.

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
        for source in _of_folder(place, file.parent, entry, seed):
            if source.file in sources:
                raise UserError(f"{place}: {source.file} comes from an earlier folder, too; give another category")
            sources[source.file] = source
    return list(sources.values())


def _check(place: str, entry: Any) -> None:
    if not isinstance(entry, dict) or not {"path", "category"} <= entry.keys():
        raise UserError(f"{place}: needs `path` and `category`")
    for key, value in entry.items():
        if key not in KEYS:
            raise UserError(f"{place}: {key} is unknown; there are {', '.join(KEYS)}")
        fits = isinstance(value, KEYS[key]) and not isinstance(value, bool)
        if not fits or (isinstance(value, int | float) and value <= 0):
            raise UserError(f"{place}: {key} = {value!r} is not possible")
    if "/" in entry["category"] or entry["category"] in ("", "all"):
        raise UserError(f"{place}: category must be a name without a slash, and not `all`")


def _of_folder(place: str, root: Path, entry: Mapping[str, Any], seed: int) -> list[Source]:
    folder, category = root / entry["path"], entry["category"]
    if not folder.is_dir():
        raise UserError(f"{place}: {folder} is no folder")
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.glob(entry.get("pattern", "**/*"))
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    count = entry.get("count", len(names))
    if not names or len(names) < count:
        raise UserError(f"{place}: {folder} has {len(names)} recordings that fit, not {max(1, count)}")
    # Each choice has a seed of its own, so that a folder more or less changes nothing in the others.
    drawn = sorted(random.Random(f"{seed} {category} {entry['path']}").sample(names, count))
    return [_source(folder, name, category, entry.get("seconds"), seed) for name in drawn]


def _source(folder: Path, name: str, category: str, seconds: float | None, seed: int) -> Source:
    path = folder / name
    excerpt = None
    if seconds is not None:
        try:
            duration = soundfile.info(str(path)).duration
        except (OSError, RuntimeError):  # whatever is wrong with it, the run will say, and go on
            duration = 0.0
        start = random.Random(f"{seed} {category} {name}").uniform(0, max(0.0, duration - seconds))
        excerpt = (round(start, 3), float(seconds))
    return Source(f"{category}/{name}", path, category, excerpt)
