"""`earmark study build`: a study made from a run of `earmark compare`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from earmark.codec import audio
from earmark.codec.audio.files import opened
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.text import counted
from earmark.eval.comparison.run_folder import REFERENCE, audio_path, read_info, read_scores
from earmark.mushra_app.building.preflight import MOST_CONDITIONS
from earmark.mushra_app.building.run_audio import condition_audio, faded_excerpt
from earmark.mushra_app.building.stimulus_format import Levels, levels_of, study_rate, write_stimuli
from earmark.mushra_app.database.connection import has_listeners
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.excerpts import MIN_SECONDS, Excerpt, choose, cut, is_silent
from earmark.mushra_app.study.study import Condition, Item, Role, Study

LOW_ANCHOR, MID_ANCHOR = "anchor@3.5k", "anchor@7k"
MOST_TRIALS = 12  # items per listener by default
MISALIGNED = {"unaligned", "delay", "drift", "jump"}  # marks of decoded audio that may be late here or there


@dataclass(frozen=True)
class Request:
    """Options of `earmark study build`.

    Args:
        run: folder that `earmark compare` wrote.
        out: folder of the new study.
        systems: systems of the run to test; empty for all.
        per_category: number of items in each category.
        seconds: length of an excerpt.
        annotations: minimum number of ratings per item.
        trials: items per listener; None for all, at most 12.
        mid_anchor: whether to add the 7 kHz low-pass anchor.
        seed: seed for the choice of excerpts.
        force: replace a study in `out` that no listener has taken.
        anchor: whether to add the 3.5 kHz low-pass anchor.
        levels: "equal" matches the loudness of the conditions of an item, "keep" changes no level.
        rate: sample rate of the study in Hz; None for that of the recordings, see `stimulus_format.study_rate`.
        bits: resolution of the stimuli, 16 or 24.
    """

    run: Path
    out: Path
    systems: tuple[str, ...] = ()
    per_category: int = 50
    seconds: float = 5.0
    annotations: int = 10
    trials: int | None = None
    mid_anchor: bool = False
    seed: int = 0
    force: bool = False
    anchor: bool = True
    levels: Levels = "equal"
    rate: int | None = None
    bits: int = 16


@dataclass(frozen=True)
class Built:
    """A new study, and notes for the experimenter, e.g. about skipped recordings."""

    study: Study
    notes: list[str]


def build(request: Request) -> Built:
    """Choose excerpts, match their levels, and write STUDY/study.json and STUDY/audio.

    Raises:
        UserError: if the run does not support such a study, or the folder holds a study that listeners have taken.
    """
    info = read_info(request.run)
    conditions, chosen, notes = choice(request)
    earlier = audio_of_earlier_study(request.out, force=request.force)
    rate = request.rate or study_rate({_rate(request.run, excerpt.file) for _, excerpt in chosen})
    items, aligned = [], aligned_by(request.run)
    with progress("cut stimuli", len(chosen)) as advance:
        for number, (category, excerpt) in enumerate(chosen):
            item = _item(request, f"{category}-{number + 1:03d}", category, excerpt, conditions, rate)
            known = {
                name: replace(stimulus, aligned=(excerpt.file, name) in aligned)
                for name, stimulus in item.stimuli.items()
            }
            items.append(replace(item, stimuli=known))
            advance(excerpt.file)
    study = Study(
        name=request.out.resolve().name,
        sample_rate=rate,
        annotations=request.annotations,
        trials_per_listener=min(len(items), request.trials or MOST_TRIALS),
        conditions=tuple(conditions),
        items=tuple(items),
        provenance=_provenance(request, info),
    )
    save(study, request.out, earlier)
    return Built(study, notes)


def choice(request: Request) -> tuple[list[Condition], list[tuple[str, Excerpt]], list[str]]:
    """Conditions, excerpts with their categories, and notes for the experimenter; writes nothing.

    Raises:
        UserError: see `build`.
    """
    info = read_info(request.run)
    conditions = _conditions(request, info)
    audio_of_earlier_study(request.out, force=request.force)
    files, notes = _usable(request, info, conditions)
    chosen, shortages = _chosen(request, files, np.random.default_rng(request.seed))
    return conditions, chosen, notes + shortages


def aligned_by(run: Path) -> set[tuple[str, str]]:
    """Recordings and systems that a run aligned without a doubt; none of runs of versions that did not say."""
    scores = read_scores(run)
    if "marks" not in scores:
        return set()
    rows = scores.drop_duplicates(["file", "system"])
    rows = rows[rows["delay"].notna()]
    return {
        (str(file), str(system))
        for file, system, marks in zip(rows["file"], rows["system"], rows["marks"], strict=True)
        if not MISALIGNED & {text.partition(" (")[0] for text in str(marks).split("; ")}
    }


def save(study: Study, out: Path, earlier: Collection[str]) -> None:
    """Write STUDY/study.json, and remove stimuli of an earlier build that the study does not use.

    Args:
        earlier: names of those stimuli, by `audio_of_earlier_study` before the first stimulus was written.
    """
    studies.save(study, out)
    for name in set(earlier) - _audio_names(study):
        studies.stimulus_path(out, name).unlink(missing_ok=True)


def listeners_needed(study: Study) -> int:
    """Number of listeners who give every item its minimum number of ratings, if all of them finish."""
    return math.ceil(len(study.items) * study.annotations / study.trials_per_listener)


def _provenance(request: Request, info: Mapping[str, Any]) -> dict[str, str]:
    return {
        "run": str(request.run), "run_command": info["command"], "run_created": info["created"],
        "earmark": info["earmark"], "seed": str(request.seed),
        **{f"version of {name}": text for name, text in info["versions"].items()},
    }  # fmt: skip


def _audio_names(study: Study) -> set[str]:
    return {stimulus.audio for item in study.items for stimulus in item.stimuli.values()}


def audio_of_earlier_study(out: Path, *, force: bool) -> set[str]:
    """File names of the stimuli of an earlier build in this folder; other files belong to the user.

    Raises:
        UserError: if the folder holds a folder `audio` but no study, a study that listeners have taken, or a study and
            `force` is False.
    """
    if has_listeners(out):
        raise UserError(
            f"{out}: this study has listeners already; choose another --out, or delete the folder with their ratings"
        )
    if not force and (out / "study.json").exists():
        raise UserError(f"{out}: holds a study; add --force to replace it, or choose another --out")
    if (out / "study.json").exists():
        return _audio_names(studies.load(out))
    if (out / "audio").exists():
        raise UserError(f"{out}: has a folder audio that belongs to no study; choose another --out")
    return set()


def _conditions(request: Request, info: dict[str, Any]) -> list[Condition]:
    unknown = [name for name in request.systems if name not in info["systems"]]
    if unknown:
        raise UserError(f"--systems: {unknown[0]} is not in {request.run}, which has {', '.join(info['systems'])}")
    roles: dict[str, Role] = {REFERENCE: "hidden reference"}
    if request.anchor or LOW_ANCHOR in request.systems:
        roles[LOW_ANCHOR] = "low anchor"
    if request.mid_anchor or MID_ANCHOR in (request.systems or info["systems"]):
        roles[MID_ANCHOR] = "mid anchor"
    for name in request.systems or info["systems"]:
        if name != LOW_ANCHOR or request.anchor:
            roles.setdefault(name, "system")
    if "system" not in roles.values():
        raise UserError(
            f"{request.run}: has only the reference and anchors; run `earmark compare` with at least one codec first"
        )
    if len(roles) > MOST_CONDITIONS:
        raise UserError(
            f"--systems: {len(roles)} conditions, but a MUSHRA trial has at most {MOST_CONDITIONS} (BS.1534-3); "
            "name fewer systems"
        )
    return [Condition(name, role) for name, role in roles.items()]


def _usable(
    request: Request, info: dict[str, Any], conditions: Sequence[Condition]
) -> tuple[dict[str, list[str]], list[str]]:
    """Recordings that every system under test decoded, by category, and a note on each recording skipped."""
    scores = read_scores(request.run)
    tested = {condition.name for condition in conditions if condition.role == "system"}
    # The duration is missing where a system did not decode the recording.
    decoded = scores.duration.notna()
    if failed := sorted(tested - set(scores[decoded].system)):
        raise UserError(f"--systems: {failed[0]} decoded no recording of {request.run}; list the systems without it")
    per_file = scores[decoded & scores.system.isin(tested)].groupby("file")["system"].nunique()
    complete = set(per_file[per_file == len(tested)].index)
    files: dict[str, list[str]] = defaultdict(list)
    notes = []
    without_audio = [file for file in complete if not audio_path(request.run, REFERENCE, file).exists()]
    if complete and len(without_audio) == len(complete):
        raise UserError(
            f"{request.run}: its audio is missing ({request.run / 'audio'}); copy the folder of the run with it, or "
            "make a new run by `earmark compare`"
        )
    for recording in info["recordings"]:
        if recording["file"] in without_audio:
            notes.append(f"{recording['file']}: skipped, because its reference is missing in {request.run / 'audio'}")
        elif recording["error"] or recording["file"] not in complete:
            notes.append(f"{recording['file']}: skipped, because not every system decoded it")
        else:
            files[recording["category"]].append(recording["file"])
    return files, notes


def _chosen(
    request: Request, files: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> tuple[list[tuple[str, Excerpt]], list[str]]:
    """Excerpts with their categories, and a note on each category that has too few.

    Raises:
        UserError: if no recording is long enough.
    """
    chosen: list[tuple[str, Excerpt]] = []
    notes = []
    for category, names in files.items():
        cuts = {name: _excerpts(request, name, rng) for name in names}
        notes += [f"{name}: skipped, because it is silent" for name, (_, silent) in cuts.items() if silent]
        excerpts = choose([some for some, _ in cuts.values() if some], request.per_category, rng)
        if len(excerpts) < request.per_category:
            notes.append(
                f"{category}: {counted(len(excerpts), 'item')} instead of {request.per_category}; "
                f"its recordings have no more excerpts of {request.seconds:g} s"
            )
        chosen += [(category, excerpt) for excerpt in excerpts]
    if not chosen:
        raise UserError(
            f"{request.run}: no recording of {MIN_SECONDS:g} s or more with sound that every system decoded"
        )
    return chosen, notes


def _excerpts(request: Request, file: str, rng: np.random.Generator) -> tuple[list[Excerpt], bool]:
    """Excerpts of a recording, and whether there are none because it is silent."""
    reference = audio.read(audio_path(request.run, REFERENCE, file))
    excerpts = cut(file, reference.samples, reference.sample_rate, request.seconds, rng)
    return excerpts, not excerpts and is_silent(reference.samples)


def _rate(run: Path, file: str) -> int:
    with opened(audio_path(run, REFERENCE, file)) as recording:
        return int(recording.samplerate)


def _item(
    request: Request, name: str, category: str, excerpt: Excerpt, conditions: Sequence[Condition], rate: int
) -> Item:
    reference = audio.read(audio_path(request.run, REFERENCE, excerpt.file))
    signals = {}
    for condition in conditions:
        signal = condition_audio(request.run, condition.name, excerpt.file, reference)
        signals[condition.name] = faded_excerpt(signal, excerpt, reference.sample_rate, rate)
    levels = levels_of(signals, rate, request.levels)
    stimuli = write_stimuli(signals, levels, request.out, f"{request.seed}/{name}", rate, request.bits)
    return Item(name, category, excerpt.file, excerpt.start, round(excerpt.seconds, 3), stimuli)
