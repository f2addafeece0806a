"""`earmark study import`: a webMUSHRA configuration (YAML) and its audio as one of our studies."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.eval.levels import loudness
from earmark.mushra_app.ratings.table import assign_roles
from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Condition, Item, Role, Stimulus, Study

REFERENCE = "reference"  # what webMUSHRA calls the hidden reference in its results
# The anchors that webMUSHRA makes itself: option of the page -> its name for them, our system.
ANCHORS = {"createAnchor35": ("anchor35", "anchor@3.5k"), "createAnchor70": ("anchor70", "anchor@7k")}
CATEGORY = "uncategorised"
COMMON_RATE = 48_000  # Hz, where the files' rates differ
LARGEST_CONFIG = 4_000_000  # bytes
MOST_PAGES, DEEPEST = 5_000, 20  # of nested lists; YAML's aliases can make endless ones


@dataclass(frozen=True)
class Page:
    """A page of type mushra: audio files by condition, as the configuration names them, "" for an anchor to make."""

    id: str
    reference: str
    stimuli: Mapping[str, str]


@dataclass(frozen=True)
class Imported:
    """The study, and what was left out or assumed, a sentence each."""

    study: Study
    notes: tuple[str, ...]


def import_webmushra(config: Path, out: Path, audio_folder: Path | None = None, annotations: int = 10) -> Imported:
    """Write STUDY/study.json and STUDY/audio from a webMUSHRA configuration; every page of type mushra is an item.

    Levels stay as they are, as webMUSHRA plays them. All files of the study get one rate, one format and opaque names.

    Args:
        audio_folder: what the configuration's paths are relative to; unless told, the folder of the configuration or
            one above it, as webMUSHRA keeps its configs/ beside what they name.
        annotations: least number of ratings of each item.

    Raises:
        UserError: not such a configuration, audio is missing or of unequal length, or `out` holds a study already.
    """
    if (out / "study.json").exists() or (out / "audio").exists():
        raise UserError(f"{out}: holds a study or audio already; choose another --out")
    data = _read(config)
    pages, notes = _pages(config, data)
    roles, role_notes = _roles(config, pages)
    folder = _audio_folder(config, pages, audio_folder)
    rate = _rate(config, folder, pages)
    items = []
    with progress("copy stimuli", len(pages)) as advance:
        for page in pages:
            items.append(_item(config, page, folder, rate, out))
            advance(page.id)
    study = Study(
        name=tidy(data.get("testname") or data.get("testId") or config.stem),
        sample_rate=rate,
        annotations=annotations,
        trials_per_listener=len(items),
        conditions=tuple(Condition(name, role) for name, role in roles.items()),
        items=tuple(items),
        provenance={"webMUSHRA configuration": config.name, "webMUSHRA testId": tidy(data.get("testId") or "")},
    )
    studies.save(study, out)
    return Imported(study, (*notes, *role_notes))


def _read(config: Path) -> dict[str, Any]:
    """The configuration with every scalar as text, so that a page called 007 stays 007."""
    try:
        if config.stat().st_size > LARGEST_CONFIG:
            raise UserError(f"{config}: over {LARGEST_CONFIG // 1_000_000} MB; that is no webMUSHRA configuration")
        data = yaml.load(config.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise UserError(f"{config}: not readable ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else "not text in UTF-8, or too deep"
        raise UserError(f"{config}: not YAML ({place}); is it a webMUSHRA configuration?") from error
    if not isinstance(data, dict) or not isinstance(data.get("pages"), list):
        raise UserError(f"{config}: no list of pages in it; is it a webMUSHRA configuration?")
    return data


def _pages(config: Path, data: Mapping[str, Any]) -> tuple[list[Page], list[str]]:
    """The pages of type mushra, and what is said of the others."""
    pages: dict[str, Page] = {}
    others: Counter[str] = Counter()
    copies: set[str] = set()
    for number, found in enumerate(_flat(config, data["pages"]), start=1):
        if found.get("type") != "mushra":
            others[tidy(str(found.get("type", "without a type")))] += 1
            continue
        page, copied = _page(config, number, found)
        if page.id in pages:
            raise UserError(f"{config}: two pages have the id {page.id}; an item needs one of its own")
        pages[page.id] = page
        copies |= copied
    if not pages:
        raise UserError(f"{config}: no page of type mushra in it; only such tests become one of our studies")
    names = {tuple(sorted(page.stimuli)): page.id for page in pages.values()}
    if len(names) > 1:
        (one, first), (other, second) = list(names.items())[:2]
        differing = sorted(set(one) ^ set(other))
        raise UserError(
            f"{config}: pages {first} and {second} differ in their conditions ({', '.join(differing)}); "
            "all items of a study have the same ones: split the configuration"
        )
    notes = []
    if others:
        kinds = ", ".join(f"{kind} ({count})" if count > 1 else kind for kind, count in sorted(others.items()))
        notes.append(f"Left out are pages that are no MUSHRA trials: {kinds}.")
    if copies:
        notes.append(f"{', '.join(sorted(copies))}: the reference itself, which is hidden among the conditions anyway.")
    return list(pages.values()), notes


def _flat(config: Path, pages: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Every page, out of the nested lists whose first entry may be the word "random"."""
    seen, waiting = 0, [(0, pages)]
    while waiting:
        depth, level = waiting.pop(0)
        for entry in level:
            seen += 1
            if seen > MOST_PAGES or depth > DEEPEST:
                raise UserError(f"{config}: over {MOST_PAGES} pages, or lists that hold themselves")
            if isinstance(entry, list):
                waiting.append((depth + 1, entry))
            elif isinstance(entry, dict):
                yield entry


def _page(config: Path, number: int, found: Mapping[str, Any]) -> tuple[Page, set[str]]:
    name, reference, stimuli = (found.get(key) for key in ("id", "reference", "stimuli"))
    if not isinstance(name, str) or not tidy(name):
        raise UserError(f"{config}: page {number} has no id")
    if not isinstance(reference, str) or not reference:
        raise UserError(f"{config}: page {name} has no reference")
    if not isinstance(stimuli, dict) or not all(isinstance(path, str) and path for path in stimuli.values()):
        raise UserError(f"{config}: page {name} has no stimuli, each with a file")
    files = {tidy(str(condition)): path for condition, path in stimuli.items()}
    copies = {condition for condition, path in files.items() if path == reference}
    files = {condition: path for condition, path in files.items() if condition not in copies}
    made = {
        anchor for option, (anchor, _) in ANCHORS.items() if str(found.get(option)).lower() in ("true", "yes", "on")
    }
    taken = sorted(({REFERENCE} | made) & set(files))
    if taken:
        raise UserError(f"{config}: page {name} calls a stimulus {taken[0]}, which webMUSHRA adds itself; rename it")
    if not files:
        raise UserError(f"{config}: page {name} has no stimulus but its reference")
    return Page(tidy(name), reference, {REFERENCE: reference, **files, **dict.fromkeys(sorted(made), "")}), copies


def _roles(config: Path, pages: Sequence[Page]) -> tuple[dict[str, Role], tuple[str, ...]]:
    names = pages[0].stimuli
    roles, notes = assign_roles(
        names,
        {
            "hidden reference": REFERENCE,
            "low anchor": "anchor35" if "anchor35" in names else None,
            "mid anchor": "anchor70" if "anchor70" in names else None,
        },
        str(config),
    )
    guessed = tuple(note.split(" (--")[0].split(", as told")[0].rstrip(".") + "." for note in notes)
    return {name: roles[name] for name in names}, guessed


def _audio_folder(config: Path, pages: Sequence[Page], told: Path | None) -> Path:
    """The folder below which all audio is.

    Raises:
        UserError: a file is not there.
    """
    files = {path for page in pages for path in page.stimuli.values() if path}
    here = config.resolve().parent
    candidates = [told] if told is not None else [here, *list(here.parents)[:3]]
    lacking = {folder: sorted(path for path in files if not (folder / path).is_file()) for folder in candidates}
    best = min(candidates, key=lambda folder: len(lacking[folder]))
    if lacking[best]:
        more = f" and {len(lacking[best]) - 1} more" if len(lacking[best]) > 1 else ""
        raise UserError(
            f"{best / lacking[best][0]}: missing{more}; say with --audio DIR what the paths of {config.name} start from"
        )
    return best


def _rate(config: Path, folder: Path, pages: Sequence[Page]) -> int:
    """The rate of all files, or a common one; read before anything is written, to find unequal lengths in time.

    Raises:
        UserError: a file is not audio, or the conditions of a page are not equally long.
    """
    rates = set()
    for page in pages:
        recordings = {name: audio.read(folder / path) for name, path in page.stimuli.items() if path}
        rates |= {recording.sample_rate for recording in recordings.values()}
        seconds = {name: recording.seconds for name, recording in recordings.items()}
        shortest, longest = min(seconds, key=seconds.__getitem__), max(seconds, key=seconds.__getitem__)
        if seconds[longest] - seconds[shortest] > 0.5 / COMMON_RATE:
            raise UserError(
                f"{config}: page {page.id}: {shortest} has {seconds[shortest]:.5f} s, {longest} "
                f"{seconds[longest]:.5f} s; conditions that are switched between must be equally long: cut or pad them"
            )
    return rates.pop() if len(rates) == 1 else COMMON_RATE


def _item(config: Path, page: Page, folder: Path, rate: int, out: Path) -> Item:
    signals = {}
    for name, path in page.stimuli.items():
        if path:
            recording = audio.read(folder / path)
            signals[name] = audio.resample(recording.samples, recording.sample_rate, rate)
    channels = max(signal.shape[0] for signal in signals.values())
    signals = {name: np.repeat(one, channels // one.shape[0], axis=0) for name, one in signals.items()}
    for anchor, system in ANCHORS.values():
        if anchor in page.stimuli and not page.stimuli[anchor]:
            parsed = parse(system)
            low_pass = family_of(parsed).open(parsed, rate, channels)
            signals[anchor] = transcode(low_pass, signals[REFERENCE], rate).audio
    stimuli = {}
    for name in page.stimuli:
        # The file's name says nothing of the condition, and is the same each time the test is imported.
        secret = hashlib.sha256(f"{config.name}/{page.id}/{name}".encode()).hexdigest()[:24]
        audio.write(out / "audio" / f"{secret}.wav", signals[name], rate, "PCM_16")
        stimuli[name] = Stimulus(f"{secret}.wav", 0.0, round(loudness(signals[name], rate), 3))
    seconds = signals[REFERENCE].shape[1] / rate
    return Item(page.id, CATEGORY, page.reference, 0.0, round(seconds, 3), stimuli)
