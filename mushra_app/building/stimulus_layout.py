"""The stimuli in a folder: which file is which item in which condition, by sub-folder or by a pattern of the name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from earmark.codec.audio.files import SNDFILE_SUFFIXES as SUFFIXES
from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean
from earmark.eval.comparison.corpus import audio_files
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.ratings.table import looks_like
from earmark.mushra_app.ratings.text_table import tidy

FOLDERS = "folders"
FIELDS = ("item", "condition", "category")
MOST_FIELDS = 6
UNCATEGORISED = "uncategorised"
# Audio that libsndfile does not read; such a file is reported rather than ignored.
UNREADABLE = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".ac3", ".ape", ".amr", ".raw", ".pcm", ".npy")


@dataclass(frozen=True)
class Fault:
    """Something wrong with the stimuli.

    Args:
        where: file, item or condition.
        fault: what is wrong.
        remedy: what to do.
        item: key of the item that can be skipped to avoid the fault; None if no item can.
        stray: whether the file can be ignored, because it is no stimulus.
    """

    where: str
    fault: str
    remedy: str
    item: Key | None = None
    stray: bool = False


Key = tuple[str, str]  # category and name of an item


@dataclass(frozen=True)
class Stimuli:
    """The audio files of a folder.

    Args:
        folder: that folder.
        files: item -> condition -> path; items in the order of their names.
        conditions: all conditions, in the order of their names.
        reference: condition that is the hidden reference; None if none was named or has a usual name.
        faults: what is wrong with names and places.
    """

    folder: Path
    files: Mapping[Key, Mapping[str, Path]]
    conditions: tuple[str, ...]
    reference: str | None
    faults: tuple[Fault, ...]

    def name(self, path: Path) -> str:
        """Path relative to the folder, for tables and messages."""
        return tidy(path.relative_to(self.folder).as_posix())


@dataclass(frozen=True)
class _Place:
    category: str
    item: str
    condition: str

    @property
    def key(self) -> Key:
        return self.category, self.item


def find(
    folder: Path,
    layout: str,
    reference: str | None = None,
    systems: Collection[str] = (),
    leave_out: Path | None = None,
) -> Stimuli:
    """Find the stimuli in a folder.

    Args:
        layout: "folders" (FOLDER/CONDITION/ITEM.wav or FOLDER/CONDITION/CATEGORY/ITEM.wav), or a pattern with {item},
            {condition} and optionally {category}. A pattern without a slash is for file names, and the first sub-folder
            is the category; one with a slash is for paths relative to the folder. Any audio extension matches.
        reference: name of the condition that is the hidden reference; default: the one with a usual name.
        systems: conditions to use beside the reference; empty for all.
        leave_out: folder to skip, e.g. that of the study.

    Raises:
        UserError: if the pattern is wrong, or the folder has no audio.
    """
    parts = None if layout == FOLDERS else _pattern(layout)
    paths = sorted(audio_files(folder, leave_out, (*SUFFIXES, *UNREADABLE)))
    if not paths:
        raise UserError(f"{folder}: no audio in it; put the stimuli there, or name another folder by --stimuli")
    faults = [_unreadable(folder, path) for path in paths if path.suffix.lower() in UNREADABLE]
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
    candidates: dict[Path, list[_Place]] = {}
    for path in paths:
        relative = PurePosixPath(path.relative_to(folder))
        possible = list(_in_folders(relative) if parts is None else _by_pattern(parts, relative))
        if possible:
            candidates[path] = possible
        else:
            faults.append(Fault(_name(folder, path), _mismatch(layout), "rename it, or change --layout", stray=True))
    if not candidates:
        example = _name(folder, paths[0]) if paths else faults[0].where
        raise UserError(f"{folder}: no file matches --layout '{layout}', for example {example}; see --layout in --help")
    hidden = reference or _usual_reference(candidates.values())
    places = _settled(candidates, hidden)
    known = {place.condition for place in places.values()}
    faults += _unknown([reference] if reference else [], known) + _unknown(systems, known)
    if parts is None:
        faults += _empty_folders(folder, known, leave_out)
    used = known & {*systems, hidden} if systems else known
    files, repeated = _grouped(folder, {path: place for path, place in places.items() if place.condition in used})
    return Stimuli(folder, files, tuple(sorted(used)), hidden, (*faults, *repeated, *_reserved(files)))


def _unknown(names: Iterable[str], known: Collection[str]) -> list[Fault]:
    there_are = f"the conditions are {', '.join(sorted(known))}"
    return [
        Fault(name, "no such condition", there_are + did_you_mean(name, known)) for name in names if name not in known
    ]


def _pattern(layout: str) -> list[str]:
    """Literal text and field names of a pattern in turn; the first and last part are literal.

    Raises:
        UserError: if it has no {item} or no {condition}, or two fields touch.
    """
    text = layout.removesuffix(".*")
    if PurePosixPath(text).suffix.lower() in SUFFIXES:
        text = text[: -len(PurePosixPath(text).suffix)]
    parts = re.split(r"\{(\w*)\}", text)
    fields = parts[1::2]
    unknown = [field for field in fields if field not in FIELDS]
    missing = [field for field in FIELDS[:2] if field not in fields]
    if unknown or missing:
        fault = f"has {{{unknown[0]}}}" if unknown else f"has no {{{missing[0]}}}"
        raise UserError(
            f"--layout '{layout}': {fault}; write folders, or a pattern of {{item}}, {{condition}} and {{category}} "
            "such as '{item}_{condition}.wav'"
        )
    if "" in parts[2:-1:2] or len(fields) > MOST_FIELDS:
        raise UserError(f"--layout '{layout}': put a character between two fields, and use at most {MOST_FIELDS}")
    return parts


def _in_folders(relative: PurePosixPath) -> Iterator[_Place]:
    condition, *middle = relative.parts
    if not middle:
        return  # outside the folders of the conditions
    *folders, _ = middle
    category = folders[0] if folders else UNCATEGORISED
    yield _place(category, "/".join([*folders[1:], relative.stem]), condition)


def _by_pattern(parts: Sequence[str], relative: PurePosixPath) -> Iterator[_Place]:
    whole = any("/" in literal for literal in parts[::2])
    text = relative.with_suffix("").as_posix() if whole else relative.stem
    outer = UNCATEGORISED if whole or len(relative.parts) == 1 else relative.parts[0]
    for values in _matches(parts, text, {}):
        yield _place(values.get("category", outer), values["item"], values["condition"])


def _matches(parts: Sequence[str], text: str, values: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Every way in which the pattern matches the text, long values of the first fields first."""
    literal = parts[0]
    if not text.startswith(literal):
        return
    text = text[len(literal) :]
    if len(parts) == 1:
        if not text:
            yield values
        return
    field, rest = parts[1], parts[2:]
    for end in range(len(text), 0, -1):
        value = text[:end]
        if "/" not in value and values.get(field, value) == value:
            yield from _matches(rest, text[end:], {**values, field: value})


def _place(category: str, item: str, condition: str) -> _Place:
    return _Place(*(tidy(name.encode("utf-8", "replace").decode()) for name in (category, item, condition)))


def _usual_reference(candidates: Collection[Sequence[_Place]]) -> str | None:
    """The only condition with a usual name for a hidden reference, if there is exactly one."""
    names = {
        place.condition for places in candidates for place in places if looks_like("hidden reference", place.condition)
    }
    return names.pop() if len(names) == 1 else None


def _settled(candidates: Mapping[Path, Sequence[_Place]], reference: str | None) -> dict[Path, _Place]:
    """One place for each file.

    "a_b_c" is item a_b in condition c, or item a in condition b_c. The items of the reference decide; a file that fits
    none of them has a condition of the files that do, or the longest item.
    """
    items = {place.key for places in candidates.values() for place in places if place.condition == reference}
    settled = {}
    for path, places in candidates.items():
        hidden = [place for place in places if place.condition == reference]
        fitting = hidden or [place for place in places if place.key in items]
        if fitting:
            settled[path] = fitting[0]
    frequent = Counter(place.condition for place in settled.values())
    for path, places in candidates.items():
        if path not in settled:
            settled[path] = max(places, key=lambda place: frequent[place.condition])
    return settled


def _grouped(folder: Path, places: Mapping[Path, _Place]) -> tuple[dict[Key, dict[str, Path]], list[Fault]]:
    """Item -> condition -> path, and a fault for each second file of an item in a condition."""
    files: dict[Key, dict[str, Path]] = defaultdict(dict)
    faults = []
    for path, place in sorted(places.items(), key=lambda pair: (pair[1].key, pair[1].condition, pair[0])):
        first = files[place.key].setdefault(place.condition, path)
        if first != path:
            faults.append(Fault(
                _name(folder, path), f"the same item and condition as {_name(folder, first)}", "keep one of them",
                place.key,
            ))  # fmt: skip
    return dict(files), faults


def _empty_folders(folder: Path, conditions: Collection[str], leave_out: Path | None) -> Iterator[Fault]:
    skipped = None if leave_out is None else leave_out.resolve()
    for path in sorted(folder.iterdir()):
        empty = path.is_dir() and not path.name.startswith(".") and tidy(path.name) not in conditions
        if empty and path.resolve() != skipped:
            yield Fault(_name(folder, path), "a condition without audio", "fill the folder, or delete it")


def _reserved(files: Collection[Key]) -> Iterator[Fault]:
    if any(category == ALL for category, _ in files):
        yield Fault(ALL, "a category name that tables use for the mean of all", "rename the folder or files")


def _mismatch(layout: str) -> str:
    return "outside the folders of the conditions" if layout == FOLDERS else f"does not match {layout}"


def _unreadable(folder: Path, path: Path) -> Fault:
    return Fault(
        _name(folder, path), f"audio as {path.suffix[1:]}, which is not read", "convert it to WAV or FLAC", stray=True
    )


def _name(folder: Path, path: Path) -> str:
    return tidy(path.relative_to(folder).as_posix().encode("utf-8", "replace").decode())
