"""`earmark study import`: a study from a webMUSHRA configuration (YAML) and its audio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.inside import inside
from earmark.codec.progress import progress
from earmark.mushra_app.building.build import coded
from earmark.mushra_app.building.stimulus_faults import Measure, StimulusError, measure, unequal_lengths, unreadable
from earmark.mushra_app.building.stimulus_format import COMMON_RATE, levels_of, write_stimuli
from earmark.mushra_app.building.stimulus_layout import UNCATEGORISED, Fault
from earmark.mushra_app.building.stimulus_lengths import REMEDY as LENGTH_REMEDY
from earmark.mushra_app.building.stimulus_lengths import Fit, Fitting
from earmark.mushra_app.ratings.table import assign_roles
from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Condition, Item, Role, Study

REFERENCE = "reference"  # webMUSHRA's name for the hidden reference in its results
# Anchors that webMUSHRA makes itself: option of the page -> (webMUSHRA's name, our system string).
ANCHORS = {"createAnchor35": ("anchor35", "anchor@3.5k"), "createAnchor70": ("anchor70", "anchor@7k")}
LARGEST_CONFIG = 4_000_000  # bytes
MOST_PAGES, DEEPEST = 5_000, 20  # limits to nested lists, which YAML aliases can make endless


@dataclass(frozen=True)
class Page:
    """A page of type mushra.

    Args:
        id: the page's id, which becomes the item's.
        reference: path of the reference as written in the configuration.
        stimuli: condition -> path as written in the configuration; "" for an anchor that the import makes.
    """

    id: str
    reference: str
    stimuli: Mapping[str, str]


@dataclass(frozen=True)
class Imported:
    """The study, and notes on what the import skipped or assumed, one sentence each."""

    study: Study
    notes: tuple[str, ...]


def import_webmushra(
    config: Path,
    out: Path,
    audio_folder: Path | None = None,
    annotations: int = 10,
    trials: int | None = None,
    fit: Fit = "small",
) -> Imported:
    """Write STUDY/study.json and STUDY/audio from a webMUSHRA configuration.

    Every page of type mushra becomes an item. Levels are unchanged, as webMUSHRA plays them. All files of the study
    have one sample rate, one format, and names that do not reveal their condition.

    Args:
        config: YAML file.
        out: folder of the new study.
        audio_folder: folder that the configuration's paths are relative to. Default: the folder of the configuration
            or one of its three parents below the home folder, since webMUSHRA keeps configs/ beside the audio.
        annotations: minimum number of ratings per item.
        trials: items per listener; None for all.
        fit: what to do with differences in length; "small" fits those of up to 100 ms.

    Raises:
        StimulusError: if audio cannot be read or differs in length; lists all faults.
        UserError: if the file is not a webMUSHRA configuration, audio is missing, or `out` holds a study already.
    """
    pages, roles, notes = preview(config, out)
    data = _read(config)
    folder = _audio_folder(config, pages, audio_folder)
    rate, bits = _format(config, folder, pages, fit)
    fitting = Fitting(fit)
    items = []
    with progress("copy stimuli", len(pages)) as advance:
        for page in pages:
            items.append(_item(config, page, folder, fitting, rate, bits, out))
            advance(page.id)
    study = Study(
        name=tidy(data.get("testname") or data.get("testId") or config.stem),
        sample_rate=rate,
        annotations=annotations,
        trials_per_listener=min(len(items), trials or len(items)),
        conditions=tuple(Condition(name, role) for name, role in roles.items()),
        items=tuple(items),
        provenance={"webMUSHRA configuration": config.name, "webMUSHRA testId": tidy(data.get("testId") or "")},
    )
    studies.save(study, out)
    return Imported(study, (*notes, *fitting.notes()))


def preview(config: Path, out: Path) -> tuple[list[Page], dict[str, Role], tuple[str, ...]]:
    """Pages, conditions with their roles, and notes; writes nothing and opens no audio.

    Raises:
        UserError: if the file is not a webMUSHRA configuration, or `out` holds a study already.
    """
    if (out / "study.json").exists() or (out / "audio").exists():
        raise UserError(f"{out}: holds a study or audio already; choose another --out")
    pages, notes = _pages(config, _read(config))
    roles, role_notes = _roles(config, pages)
    return pages, roles, (*notes, *role_notes)


def _read(config: Path) -> dict[str, Any]:
    """Read the configuration with every scalar as text, so that a page named 007 stays 007."""
    try:
        if config.stat().st_size > LARGEST_CONFIG:
            raise UserError(f"{config}: over {LARGEST_CONFIG // 1_000_000} MB, too large for a webMUSHRA configuration")
        data = yaml.load(config.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise UserError(f"{config}: not readable ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        fault = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else "not UTF-8, or nested too deeply"
        raise UserError(f"{config}: not YAML ({fault}); is it a webMUSHRA configuration?") from error
    if not isinstance(data, dict) or not isinstance(data.get("pages"), list):
        raise UserError(f"{config}: no list of pages; is it a webMUSHRA configuration?")
    return data


def _pages(config: Path, data: Mapping[str, Any]) -> tuple[list[Page], list[str]]:
    """Pages of type mushra, and notes on the pages and stimuli skipped.

    Raises:
        UserError: if there is none, two have the same id, or they differ in their conditions.
    """
    pages: dict[str, Page] = {}
    skipped: Counter[str] = Counter()
    copies: set[str] = set()
    for number, settings in enumerate(_flat(config, data["pages"]), start=1):
        if settings.get("type") != "mushra":
            skipped[tidy(str(settings.get("type", "without a type")))] += 1
            continue
        page, copied = _page(config, number, settings)
        if page.id in pages:
            raise UserError(f"{config}: two pages have the id {page.id}; give each its own")
        pages[page.id] = page
        copies |= copied
    if not pages:
        raise UserError(f"{config}: no page of type mushra; only MUSHRA tests can be imported")
    _require_same_conditions(config, pages.values())
    notes = []
    if skipped:
        types = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(skipped.items()))
        notes.append(f"Skipped pages that are not MUSHRA trials: {types}.")
    if copies:
        notes.append(f"Skipped stimuli that are the reference itself, already hidden in every trial: "
                     f"{', '.join(sorted(copies))}.")  # fmt: skip
    return list(pages.values()), notes


def _require_same_conditions(config: Path, pages: Iterable[Page]) -> None:
    """Raise UserError if two pages differ in their conditions."""
    examples = {tuple(sorted(page.stimuli)): page.id for page in pages}
    if len(examples) > 1:
        (one, first), (other, second) = list(examples.items())[:2]
        differing = sorted(set(one) ^ set(other))
        raise UserError(
            f"{config}: pages {first} and {second} differ in their conditions ({', '.join(differing)}); "
            "all items of a study have the same conditions: split the configuration"
        )


def _flat(config: Path, pages: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Settings of every page, out of nested lists whose first element may be the word "random"."""
    seen, waiting = 0, [(0, pages)]
    while waiting:
        depth, level = waiting.pop(0)
        for element in level:
            seen += 1
            if seen > MOST_PAGES or depth > DEEPEST:
                raise UserError(f"{config}: over {MOST_PAGES} pages, or lists that contain themselves")
            if isinstance(element, list):
                waiting.append((depth + 1, element))
            elif isinstance(element, dict):
                yield element


def _page(config: Path, number: int, settings: Mapping[str, Any]) -> tuple[Page, set[str]]:
    """The page, and the names of stimuli skipped because they are the reference.

    Raises:
        UserError: if it has no id, reference or stimuli, or a stimulus has a reserved name.
    """
    name, reference, stimuli = (settings.get(key) for key in ("id", "reference", "stimuli"))
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
        anchor for option, (anchor, _) in ANCHORS.items() if str(settings.get(option)).lower() in ("true", "yes", "on")
    }
    reserved = sorted(({REFERENCE} | made) & set(files))
    if reserved:
        raise UserError(f"{config}: page {name} has a stimulus {reserved[0]}, a name that webMUSHRA adds; rename it")
    if not files:
        raise UserError(f"{config}: page {name} has no stimulus except its reference")
    return Page(tidy(name), reference, {REFERENCE: reference, **files, **dict.fromkeys(sorted(made), "")}), copies


def _roles(config: Path, pages: Sequence[Page]) -> tuple[dict[str, Role], tuple[str, ...]]:
    """Role of each condition, and notes on how it was determined."""
    names = pages[0].stimuli
    named: dict[Role, str | None] = {
        "hidden reference": REFERENCE,
        "low anchor": "anchor35" if "anchor35" in names else None,
        "mid anchor": "anchor70" if "anchor70" in names else None,
    }
    roles, notes = assign_roles(names, named, str(config), hints=False)
    return {name: roles[name] for name in names}, notes


def _audio_folder(config: Path, pages: Sequence[Page], named: Path | None) -> Path:
    """Folder that the paths of all stimuli are relative to: the one named by the user, else the best candidate.

    Raises:
        UserError: if a file is missing, or the configuration names one outside the folder.
    """
    files = {path for page in pages for path in page.stimuli.values() if path}
    folder = config.resolve().parent
    home = Path.home().resolve()
    above = [one for one in list(folder.parents)[:3] if not home.is_relative_to(one)]
    candidates = [named] if named is not None else [folder, *above]
    for path in sorted(files):
        for candidate in candidates:
            if named is not None or (candidate / path).is_file():
                inside(candidate, path, config)
    missing = {folder: sorted(path for path in files if not (folder / path).is_file()) for folder in candidates}
    best = min(candidates, key=lambda folder: len(missing[folder]))
    if missing[best]:
        more = f" and {len(missing[best]) - 1} more" if len(missing[best]) > 1 else ""
        raise UserError(
            f"{best / missing[best][0]}: missing{more}; give the folder that the paths in {config.name} are relative "
            "to by --audio DIR"
        )
    return best


def _format(config: Path, folder: Path, pages: Sequence[Page], fit: Fit) -> tuple[int, int]:
    """Sample rate of all files, or a common one if they differ; and bits, 24 if a file has more than 16.

    Reads every file, so that all errors show before anything is written.

    Raises:
        StimulusError: if files are not audio, or conditions of a page are not equally long.
    """
    faults: list[Fault] = []
    measures: list[Measure] = []
    for page in pages:
        measured: dict[str, Measure] = {}
        for name, path in page.stimuli.items():
            try:
                measured |= {name: measure(folder / path)} if path else {}
            except UserError as error:
                faults.append(unreadable(path, folder / path, error))
        for name, fault in unequal_lengths(measured, REFERENCE, fit).items():
            faults.append(Fault(f"page {page.id}: {name}", fault, LENGTH_REMEDY))
        measures += measured.values()
    if faults:
        raise StimulusError(config, faults)
    rates = {one.sample_rate for one in measures}
    bits = 24 if any(16 < one.bits <= 24 for one in measures) else 16
    return rates.pop() if len(rates) == 1 else COMMON_RATE, bits


def _item(config: Path, page: Page, folder: Path, fitting: Fitting, rate: int, bits: int, out: Path) -> Item:
    """Write the page's stimuli to STUDY/audio and return the item."""
    signals = _signals(page, folder, fitting, rate)
    levels = levels_of(signals, rate, "keep")
    stimuli = write_stimuli(signals, levels, out, f"{config.name}/{page.id}", rate, bits)
    seconds = signals[REFERENCE].shape[1] / rate
    return Item(page.id, UNCATEGORISED, page.reference, 0.0, round(seconds, 3), stimuli)


def _signals(page: Page, folder: Path, fitting: Fitting, rate: int) -> dict[str, NDArray[np.float32]]:
    """Every condition of a page as [channels, time] at one rate, length and number of channels, with the anchors."""
    signals = {}
    for name, path in page.stimuli.items():
        if path:
            recording = audio.read(folder / path)
            signals[name] = audio.resample(recording.samples, recording.sample_rate, rate)
    channels = max(signal.shape[0] for signal in signals.values())
    signals = {name: np.repeat(one, channels // one.shape[0], axis=0) for name, one in signals.items()}
    signals = fitting.apply(signals, REFERENCE, rate)
    for anchor, system in ANCHORS.values():
        if anchor in page.stimuli and not page.stimuli[anchor]:
            signals[anchor] = coded(signals[REFERENCE], system, rate)
    return {name: signals[name] for name in page.stimuli}
