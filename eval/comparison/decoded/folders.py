"""Folders of decoded audio, as --decoded and --bitstreams name them: NAME=FOLDER, NAME=PATTERN, or FOLDER/*."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from earmark.baselines.decoded_audio import NAME, RESERVED, decoded_system
from earmark.baselines.interface import System
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import path_or_url

PLACEHOLDERS = ("path", "stem", "category")
_PLACEHOLDER = re.compile(r"{(\w*)}")
FORM = "NAME=FOLDER, NAME=FOLDER/{stem}_dec.wav or 'FOLDER/*'"


@dataclass(frozen=True)
class Location:
    """Where the files of a system are.

    Args:
        folder: a path or an fsspec URL.
        pattern: path of a file in the folder, with placeholders; "" to match by relative path or stem.
        files: recording -> its file, if `folder` is a list of pairs that names them.
    """

    folder: Path
    pattern: str = ""
    files: Mapping[str, Path] | None = None

    def __str__(self) -> str:
        return f"{self.folder}/{self.pattern}" if self.pattern else str(self.folder)


@dataclass(frozen=True)
class DecodedSystem:
    """A system given by its decoded audio.

    Args:
        audio: where its decoded files are.
        bitstreams: where its coded files are, whose sizes give the bit rate; None if they are not given.
    """

    system: System
    audio: Location
    bitstreams: Location | None = None


def read_decoded(
    decoded: Iterable[str], bitstreams: Iterable[str] = (), root: Path | None = None
) -> tuple[DecodedSystem, ...]:  # fmt: skip
    """Read the values of --decoded and --bitstreams.

    Args:
        root: folder that relative paths start from; default: the working directory.

    Raises:
        UserError: a value has another form, a folder does not exist, or two systems have one name.
    """
    audio = _named("--decoded", decoded, root)
    systems = {text: decoded_system(text) for text in audio}
    bits: dict[str, Location] = {}
    for name, location in _named("--bitstreams", bitstreams, root).items():
        bits[_meant(name, systems)] = location
    return tuple(DecodedSystem(systems[text], audio[text], bits.get(text)) for text in audio)


def _meant(name: str, systems: Mapping[str, System]) -> str:
    """The system that --bitstreams names, with or without its bit rate."""
    if name in systems:
        return name
    meant = [text for text, system in systems.items() if system.family == name]
    if len(meant) != 1:
        raise UserError(
            f"--bitstreams {name}: {'several systems' if meant else 'no system'} of --decoded "
            f"{'have' if meant else 'has'} this name; there are {', '.join(systems) or 'none'}"
        )
    return meant[0]


def _named(option: str, values: Iterable[str], root: Path | None) -> dict[str, Location]:
    """Name -> location, for all values of an option; a * leaves out the sub-folders that another value names."""
    result: dict[str, Location] = {}
    split = [(_has_star(value), _split(option, value, root)) for value in values]
    named = {name for star, pairs in split if not star for name, _ in pairs}
    own = named | {name.partition("@")[0] for name in named}  # A@6=dec/A gives a bit rate to the sub-folder A
    for star, pairs in split:
        for name, path in pairs:
            if star and name in own:
                continue
            if name in result:
                raise UserError(f"{option} {name}: given twice; give each system a name of its own")
            result[name] = _location(option, path, root)
    return result


def _has_star(value: str) -> bool:
    name, equals, _ = value.partition("=")
    return "*" in value and not (equals and NAME.fullmatch(name.strip()))


def _split(option: str, value: str, root: Path | None) -> Sequence[tuple[str, str]]:
    """The pairs of name and path that one value stands for."""
    name, equals, path = value.partition("=")
    if equals and NAME.fullmatch(name.strip()):
        if not path.strip():
            raise UserError(f"{option} {value!r}: write {FORM}")
        return [(name.strip(), path.strip())]
    if equals and "/" not in name:
        decoded_system(name)  # says what a name is
    if "*" in value:
        return _sub_folders(option, value, root)
    if _PLACEHOLDER.search(value):
        raise UserError(f"{option} {value!r}: name the system, as in 'A@6={value}'")
    return [(Path(value).name, value)]


def _sub_folders(option: str, value: str, root: Path | None) -> Sequence[tuple[str, str]]:
    """One system for each folder that the part of the path with a * matches."""
    parts = value.split("/")
    stars = [number for number, part in enumerate(parts) if "*" in part]
    if len(stars) > 1 or any("{" in part for part in parts[: stars[0] + 1]):
        raise UserError(f"{option} {value!r}: one * stands for the name of each system, as in 'dec/*/{{stem}}.wav'")
    before, star, after = parts[: stars[0]], parts[stars[0]], parts[stars[0] + 1 :]
    folder = _path("/".join(before) or ("/" if value.startswith("/") else "."), root)
    if not folder.is_dir():
        raise UserError(f"{option} {value!r}: {folder} is not a folder")
    names = sorted(inside.name for inside in folder.iterdir() if not inside.name.startswith(".") and inside.is_dir())
    chosen = [name for name in names if fnmatchcase(name, star) and _base_name(name) not in RESERVED]
    if not chosen:
        raise UserError(f"{option} {value!r}: {folder} has no sub-folder that fits; each sub-folder is a system")
    return [(name, "/".join([*before, name, *after]).rstrip("/")) for name in chosen]


def _base_name(folder: str) -> str:
    """The name of a sub-folder without a bit rate; that of the reference and of anchors is no system."""
    return folder.partition("@")[0].lower()


def _location(option: str, path: str, root: Path | None) -> Location:
    """Split a path at its first part with a placeholder."""
    unknown = [name for name in _PLACEHOLDER.findall(path) if name not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise UserError(f"{option} {path!r}: there is no {{{unknown[0]}}}; there are {known}")
    parts = path.split("/")
    fixed = next((number for number, part in enumerate(parts) if _PLACEHOLDER.search(part)), len(parts))
    folder = _path("/".join(parts[:fixed]) or ("/" if path.startswith("/") else "."), root)
    if not folder.is_dir():
        what = "is a file; name its folder" if folder.is_file() else "does not exist"
        raise UserError(f"{option} {path}: {folder} {what}")
    return Location(folder, "/".join(parts[fixed:]))


def _path(text: str, root: Path | None) -> Path:
    path = path_or_url(text)
    return path if root is None or "://" in text else root / path
