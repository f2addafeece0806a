"""Which file of a folder belongs to which recording: by a pattern, else by relative path, else by stem."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from earmark.codec.audio import SUFFIXES
from earmark.codec.errors import UserError
from earmark.eval.comparison.corpus import Source, audio_files
from earmark.eval.comparison.decoded.folders import Location

NAMED = 3  # files that a message names
TRIED = 20  # recordings and files from which a pattern is guessed


@dataclass(frozen=True)
class Match:
    """The files of one system.

    Args:
        files: recording -> its file, in the order of the recordings.
        missing: recordings without a file.
        left: paths, relative to the folder, of files that belong to no recording.
    """

    files: Mapping[str, Path]
    missing: tuple[str, ...]
    left: tuple[str, ...]


def match(name: str, location: Location, sources: Sequence[Source], *, any_suffix: bool = False) -> Match:
    """Match the files at a location with recordings.

    Args:
        name: the system, for messages.
        any_suffix: take files of every suffix, as bitstreams have, instead of audio files.

    Raises:
        UserError: no file matches, or several files fit one recording or several recordings one file.
    """
    if location.files is not None:
        listed = {source.file: location.files[source.file] for source in sources if source.file in location.files}
        return Match(listed, tuple(source.file for source in sources if source.file not in listed), ())
    paths = {
        _normal(path.relative_to(location.folder).as_posix()): path for path in _files(location.folder, any_suffix)
    }
    bare = _without_last_suffix if any_suffix else without_audio_suffix
    if location.pattern:
        found = _by_pattern(name, location, sources, paths, bare)
        paths = {name: path for name, path in paths.items() if _shape(location.pattern, bare).fullmatch(bare(name))}
    else:
        found = _by_name(name, location, sources, paths, bare)
    files = {source.file: paths[found[source.file]] for source in sources if source.file in found}
    if not files:
        raise UserError(_nothing(name, location, sources, sorted(paths)))
    missing = tuple(source.file for source in sources if source.file not in files)
    return Match(files, missing, tuple(sorted(paths.keys() - set(found.values()))))


def _files(folder: Path, any_suffix: bool) -> Iterator[Path]:
    if not any_suffix:
        yield from audio_files(folder)
        return
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _normal(name: str) -> str:
    """One spelling of accented letters, which file systems store in two."""
    return unicodedata.normalize("NFC", name)


def without_audio_suffix(name: str) -> str:
    """Drop the suffix of an audio file from a path; other dots belong to the name."""
    path = PurePosixPath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else name


def _without_last_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name[: -len(suffix)] if suffix else name


Bare = Callable[[str], str]  # path -> path without suffix


def _by_name(
    name: str, location: Location, sources: Sequence[Source], paths: Iterable[str], bare: Bare
) -> dict[str, str]:  # fmt: skip
    """Recording -> path: the recording's whole path, its path without suffix, or its stem, in this order."""
    found: dict[str, str] = {}
    left = set(paths)
    for of_path, of_file in (
        (lambda path: {path, bare(path)}, lambda file: {file}),
        (lambda path: {bare(path)}, lambda file: {without_audio_suffix(file)}),
        (lambda path: {_name(bare(path))}, lambda file: {_name(file), _name(without_audio_suffix(file))}),
    ):
        by_key: dict[str, set[str]] = defaultdict(set)
        for path in left:
            for key in of_path(path):
                by_key[key].add(path)
        waiting = [source.file for source in sources if source.file not in found]
        wanted = {file: {path for key in of_file(_normal(file)) for path in by_key.get(key, ())} for file in waiting}
        taken = _certain(name, location, wanted)
        found |= taken
        left -= set(taken.values())
    return found


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _certain(name: str, location: Location, wanted: Mapping[str, set[str]]) -> dict[str, str]:
    """Recording -> path, the one whose folders agree best.

    Args:
        wanted: recording -> paths that fit.

    Raises:
        UserError: two files fit one recording equally well, or two recordings one file.
    """
    claims: dict[str, list[str]] = defaultdict(list)  # path -> recordings
    for file, fits in wanted.items():
        best = _best(sorted(fits), file)
        if len(best) > 1:
            raise UserError(
                f"{name}: {file} has {len(best)} files in {location}: {some(best)}; keep one, or name the right one "
                f"by a pattern, as in '{name}={location.folder}/{{path}}.wav'"
            )
        for path in best:
            claims[path].append(file)
    result = {}
    for path, files in claims.items():
        best = _best(files, path)
        if len(best) > 1:
            raise UserError(
                f"{name}: {path} in {location} fits {len(best)} recordings: {some(best)}; sort the files into the "
                "recordings' sub-folders"
            )
        result[best[0]] = path
    return result


def _best(names: Sequence[str], other: str) -> list[str]:
    """Those of `names` that have the most folders in common with `other`."""
    most = max((_agreement(name, other) for name in names), default=0)
    return [name for name in names if _agreement(name, other) == most]


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _agreement(file: str, path: str) -> int:
    """Number of folders, from the end, that two paths have in common."""
    count = 0
    for ours, theirs in zip(PurePosixPath(file).parts[-2::-1], PurePosixPath(path).parts[-2::-1], strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _by_pattern(
    name: str, location: Location, sources: Sequence[Source], paths: Mapping[str, Path], bare: Bare
) -> dict[str, str]:  # fmt: skip
    """Recording -> path, with the placeholders filled in; any audio suffix fits if the exact one does not."""
    by_bare = defaultdict(list)
    for path in sorted(paths):
        by_bare[bare(path)].append(path)
    found = {}
    for source in sources:
        fits: list[str] = []
        for file in dict.fromkeys((without_audio_suffix(source.file), source.file)):
            wanted = _normal(fill(location.pattern, file, source.category))
            fits = [wanted] if wanted in paths else by_bare.get(bare(wanted), []) or by_bare.get(wanted, [])
            if fits:
                break
        if len(fits) > 1:
            raise UserError(
                f"{name}: {source.file} has {len(fits)} files in {location.folder}: {', '.join(fits)}; keep one"
            )
        if fits:
            found[source.file] = fits[0]
    return found


def fill(pattern: str, file: str, category: str) -> str:
    """Fill the placeholders of a pattern.

    Args:
        file: relative path of the recording without suffix.
    """
    values = {"path": file, "stem": _name(file), "category": category}
    return re.sub(r"{(\w+)}", lambda one: values[one[1]], pattern)


def _shape(pattern: str, bare: Bare) -> re.Pattern[str]:
    """Regular expression of all paths of a pattern, without suffix."""
    parts = re.split(r"({\w+})", bare(pattern))
    shapes = {"{path}": ".+", "{stem}": "[^/]+", "{category}": "[^/]+"}
    return re.compile("".join(shapes.get(part, re.escape(part)) for part in parts))


def _nothing(name: str, location: Location, sources: Sequence[Source], paths: Sequence[str]) -> str:
    """Message for a folder in which nothing fits, with a pattern that would, if one is found."""
    if not paths:
        return f"{name}: no audio files in {location}"
    pattern = "" if location.pattern else _pattern_that_fits(sources, paths)
    if pattern:
        return (
            f"{name}: no file in {location} has the name of a recording ({some(paths)}); try "
            f"'{name}={location.folder}/{pattern}'"
        )
    return (
        f"{name}: no file in {location} belongs to a recording: there are {some(paths)}, and recordings such as "
        f"{sources[0].file}; give a pattern with {{path}}, {{stem}} or {{category}}"
    )


def _pattern_that_fits(sources: Sequence[Source], paths: Sequence[str]) -> str:
    """The pattern, made from names of files that contain a recording's, that fits most recordings; "" if none does."""
    candidates = set()
    for source in sources[:TRIED]:
        file = without_audio_suffix(source.file)
        for path in paths[:TRIED]:
            bare = without_audio_suffix(path)
            for whole, placeholder in ((file, "{path}"), (_name(file), "{stem}")):
                for parts in (bare.split(whole, 1), bare.rsplit(whole, 1)):
                    if len(parts) > 1:
                        candidates.add(placeholder.join(parts) + path.removeprefix(bare))
    there = set(paths)

    def fits(pattern: str) -> int:
        files = {fill(pattern, without_audio_suffix(source.file), source.category) for source in sources}
        return len(files & there)

    return max(sorted(candidates, key=lambda one: (len(one), one)), key=fits, default="")
