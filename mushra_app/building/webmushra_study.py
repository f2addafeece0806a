"""`earmark study import`: a study from a webMUSHRA configuration (YAML) and its audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.inside import inside
from earmark.codec.progress import progress
from earmark.mushra_app.building.run_audio import coded
from earmark.mushra_app.building.stimulus_faults import Measure, StimulusError, measure, unequal_lengths, unreadable
from earmark.mushra_app.building.stimulus_format import COMMON_RATE, levels_of, write_stimuli
from earmark.mushra_app.building.stimulus_layout import UNCATEGORISED, Fault
from earmark.mushra_app.building.stimulus_lengths import REMEDY as LENGTH_REMEDY
from earmark.mushra_app.building.stimulus_lengths import Fit, Fitting
from earmark.mushra_app.building.webmushra_pages import ANCHORS, REFERENCE, Configuration, Page, read_configuration
from earmark.mushra_app.building.webmushra_texts import session_toml
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Condition, Item, Study

SESSION = "session.toml"


@dataclass(frozen=True)
class Imported:
    """The study, notes on what the import skipped or assumed, one sentence each, and faults of the pages skipped."""

    study: Study
    notes: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


def import_webmushra(
    config: Path,
    out: Path,
    audio_folder: Path | None = None,
    annotations: int = 10,
    trials: int | None = None,
    fit: Fit = "small",
    *,
    keep_going: bool = False,
) -> Imported:
    """Write STUDY/study.json, STUDY/session.toml and STUDY/audio from a webMUSHRA configuration.

    Every page of type mushra becomes an item. Levels are unchanged, as webMUSHRA plays them. All files of the study
    have one sample rate, one format, and names that do not reveal their condition.

    Args:
        config: YAML file.
        out: folder of the new study.
        audio_folder: folder that the configuration's paths are relative to. Default: the folder of the configuration
            or one of its three parents below the home folder, since webMUSHRA keeps configs/ beside the audio.
        annotations: minimum number of ratings per item.
        trials: items per listener; None for as many as webMUSHRA shows.
        fit: what to do with differences in length; "small" fits those of up to 100 ms.
        keep_going: whether to skip pages whose audio has faults.

    Raises:
        StimulusError: if audio is missing, cannot be read or differs in length; lists all faults.
        UserError: if the file is not a webMUSHRA configuration, no audio is found, or `out` holds a study already.
    """
    configuration = preview(config, out)
    folder = _audio_folder(config, configuration.pages, audio_folder)
    measures, faults = _measured(configuration.pages, folder, fit)
    pages = [page for page in configuration.pages if page.id in measures]
    if faults and not (keep_going and pages):
        raise StimulusError(config, faults)
    files = [one for page in pages for one in measures[page.id]]
    rates = {one.sample_rate for one in files}
    rate = rates.pop() if len(rates) == 1 else COMMON_RATE
    bits = 24 if any(16 < one.bits <= 24 for one in files) else 16
    fitting = Fitting(fit)
    items = []
    with progress("copy stimuli", len(pages)) as advance:
        for page in pages:
            items.append(_item(config, page, folder, fitting, rate, bits, out))
            advance(page.id)
    names = {name for page in pages for name in page.stimuli}
    study = Study(
        name=configuration.name,
        sample_rate=rate,
        annotations=annotations,
        trials_per_listener=min(len(items), trials or configuration.trials or len(items)),
        conditions=tuple(Condition(name, role) for name, role in configuration.roles.items() if name in names),
        items=tuple(items),
        provenance={"webMUSHRA configuration": config.name, "webMUSHRA testId": configuration.test_id},
        items_vary=any(page.stimuli.keys() != names for page in pages),
    )
    notes = [*configuration.notes, *fitting.notes()]
    if (out / SESSION).exists():
        notes.append(f"{out / SESSION} exists, so texts and questions were not imported.")
    elif configuration.session:
        write_text(out / SESSION, session_toml(configuration.session))
        notes.append(f"Texts and questions are in {out / SESSION}: {', '.join(configuration.session)}.")
    studies.save(study, out)
    return Imported(studies.load(out), tuple(notes), tuple(faults))


def preview(config: Path, out: Path) -> Configuration:
    """List what can be imported; writes nothing and opens no audio.

    Raises:
        UserError: if the file is not a webMUSHRA configuration, or `out` holds a study already.
    """
    if (out / "study.json").exists() or (out / "audio").exists():
        raise UserError(f"{out}: holds a study or audio already; choose another --out")
    return read_configuration(config)


def _audio_folder(config: Path, pages: Sequence[Page], named: Path | None) -> Path:
    """Folder that the paths of all stimuli are relative to: the one named by the user, else the best candidate.

    Raises:
        UserError: if it has none of the files, or the configuration names one outside the folder.
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
    if len(missing[best]) == len(files):
        more = f" and {len(missing[best]) - 1} more" if len(missing[best]) > 1 else ""
        raise UserError(
            f"{best / missing[best][0]}: missing{more}; give the folder that the paths in {config.name} are relative "
            "to by --audio DIR"
        )
    return best


def _measured(pages: Sequence[Page], folder: Path, fit: Fit) -> tuple[dict[str, list[Measure]], list[Fault]]:
    """Measures of the files of each page without faults, by its id, and the faults of all others.

    Reads every file, so that all faults show before anything is written.
    """
    measures: dict[str, list[Measure]] = {}
    faults: list[Fault] = []
    for page in pages:
        measured: dict[str, Measure] = {}
        of_page = []
        for name, path in page.stimuli.items():
            try:
                measured |= {name: measure(folder / path)} if path else {}
            except UserError as error:
                of_page.append(unreadable(f"page {page.id}: {path}", folder / path, error))
        for name, fault in unequal_lengths(measured, REFERENCE, fit).items():
            of_page.append(Fault(f"page {page.id}: {name}", fault, LENGTH_REMEDY))
        faults += of_page
        if not of_page:
            measures[page.id] = list(measured.values())
    return measures, faults


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
