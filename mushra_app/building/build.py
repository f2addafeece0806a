"""`earmark study build`: a study cut from a run of `earmark compare`."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.text import counted
from earmark.eval.comparison.run_folder import REFERENCE, audio_path, read_info, read_scores
from earmark.eval.levels import match
from earmark.mushra_app.building.preflight import MOST_CONDITIONS
from earmark.mushra_app.database.connection import has_listeners
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.excerpts import SHORTEST, Excerpt, choose, cut
from earmark.mushra_app.study.study import Condition, Item, Role, Stimulus, Study

LOW_ANCHOR, MID_ANCHOR = "anchor@3.5k", "anchor@7k"
SAMPLE_RATE = 48000  # what browsers and sound cards run at, so that nothing resamples the stimuli on the way
FADE = 0.010  # seconds; the ends of an excerpt, where it loops


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Args:
        systems: of the run; empty takes all.
        per_category: items in each category.
        seconds: length of an excerpt.
        annotations: least number of ratings of each item.
        trials: items one listener rates; None for all, at most 12.
    """

    run: Path
    out: Path
    systems: tuple[str, ...]
    per_category: int
    seconds: float
    annotations: int
    trials: int | None
    mid_anchor: bool
    seed: int


@dataclass(frozen=True)
class Built:
    """A study, and what its maker should know of it."""

    study: Study
    notes: list[str]


def build(request: Request) -> Built:
    """Choose excerpts, match levels, write STUDY/study.json and STUDY/audio.

    Raises:
        UserError: the run cannot give such a study, or listeners have already taken the one in the folder.
    """
    info = read_info(request.run)
    conditions = _conditions(request, info)
    if has_listeners(request.out):
        raise UserError(
            f"{request.out}: has listeners already; choose another --out, or delete the folder to lose them"
        )
    before = _audio_of_earlier_study(request.out)
    rng = np.random.default_rng(request.seed)
    files, notes = _usable(request, info, conditions)
    chosen: list[tuple[str, Excerpt]] = []
    for category, names in files.items():
        candidates = [excerpts for name in names if (excerpts := _excerpts(request, name, rng))]
        excerpts = choose(candidates, request.per_category, rng)
        if len(excerpts) < request.per_category:
            notes.append(
                f"{category}: {counted(len(excerpts), 'item')} instead of {request.per_category}; "
                f"its recordings have no more excerpts of {request.seconds:g} s"
            )
        chosen += [(category, excerpt) for excerpt in excerpts]
    if not chosen:
        raise UserError(f"{request.run}: no recording of {SHORTEST:g} s or more that every system decoded")

    items = []
    with progress("cut stimuli", len(chosen)) as advance:
        for number, (category, excerpt) in enumerate(chosen):
            items.append(_item(request, f"{category}-{number + 1:03d}", category, excerpt, conditions))
            advance(excerpt.file)
    study = Study(
        name=request.out.resolve().name,
        sample_rate=SAMPLE_RATE,
        annotations=request.annotations,
        trials_per_listener=min(len(items), request.trials or 12),
        conditions=tuple(conditions),
        items=tuple(items),
        provenance={
            "run": str(request.run), "run_command": info["command"], "run_created": info["created"],
            "earmark": info["earmark"], "seed": str(request.seed),
            **{f"version of {name}": text for name, text in info["versions"].items()},
        },
    )  # fmt: skip
    studies.save(study, request.out)
    for name in before - _audio_names(study):
        (request.out / "audio" / name).unlink(missing_ok=True)
    return Built(study, notes)


def listeners_needed(study: Study) -> int:
    """Listeners that give every item its annotations, if all finish."""
    return math.ceil(len(study.items) * study.annotations / study.trials_per_listener)


def _audio_names(study: Study) -> set[str]:
    return {stimulus.audio for item in study.items for stimulus in item.stimuli.values()}


def _audio_of_earlier_study(out: Path) -> set[str]:
    """Stimuli of a study that was built in this folder before; anything else in it is the user's.

    Raises:
        UserError: there is a folder of audio that no study made.
    """
    if (out / "study.json").exists():
        return _audio_names(studies.load(out))
    if (out / "audio").exists():
        raise UserError(f"{out}: has a folder audio that belongs to no study; choose another --out")
    return set()


def _conditions(request: Request, info: dict[str, Any]) -> list[Condition]:
    unknown = [name for name in request.systems if name not in info["systems"]]
    if unknown:
        raise UserError(f"--systems: {unknown[0]} is not in {request.run}, which has {', '.join(info['systems'])}")
    roles: dict[str, Role] = {REFERENCE: "hidden reference", LOW_ANCHOR: "low anchor"}
    if request.mid_anchor or MID_ANCHOR in (request.systems or info["systems"]):
        roles[MID_ANCHOR] = "mid anchor"
    for name in request.systems or info["systems"]:
        roles.setdefault(name, "system")
    if "system" not in roles.values():
        raise UserError(f"{request.run}: only the reference and anchors in it; compare at least one codec first")
    if len(roles) > MOST_CONDITIONS:
        raise UserError(
            f"--systems: {len(roles)} conditions, and a MUSHRA trial has at most {MOST_CONDITIONS} (BS.1534-3); "
            "name fewer systems"
        )
    return [Condition(name, role) for name, role in roles.items()]


def _usable(
    request: Request, info: dict[str, Any], conditions: Sequence[Condition]
) -> tuple[dict[str, list[str]], list[str]]:
    """Recordings by category that every system under test decoded, and a note on each of the others."""
    scores = read_scores(request.run)
    tested = {condition.name for condition in conditions if condition.role == "system"}
    # A cell without a duration is a recording that a system did not decode.
    decoded = scores.duration.notna()
    if idle := sorted(tested - set(scores[decoded].system)):
        raise UserError(f"--systems: {idle[0]} decoded none of {request.run}; name the systems of the test without it")
    broken = set(scores[scores.system.isin(tested) & ~decoded].file)
    files: dict[str, list[str]] = defaultdict(list)
    notes = []
    for recording in info["recordings"]:
        if recording["error"] or recording["file"] in broken:
            notes.append(f"{recording['file']}: left out, not every system decoded it")
        else:
            files[recording["category"]].append(recording["file"])
    return files, notes


def _excerpts(request: Request, file: str, rng: np.random.Generator) -> list[Excerpt]:
    reference = audio.read(audio_path(request.run, REFERENCE, file))
    return cut(file, reference.samples, reference.sample_rate, request.seconds, rng)


def _item(request: Request, name: str, category: str, excerpt: Excerpt, conditions: Sequence[Condition]) -> Item:
    reference = audio.read(audio_path(request.run, REFERENCE, excerpt.file))
    signals = {
        condition.name: _cut(_condition_audio(request.run, condition.name, excerpt.file, reference), excerpt, reference)
        for condition in conditions
    }
    levels = match(signals, SAMPLE_RATE)
    stimuli = {}
    for condition, (gain, loudness) in levels.items():
        # The name says nothing of the condition, and is the same each time the study is built.
        secret = hashlib.sha256(f"{request.seed}/{name}/{condition}".encode()).hexdigest()[:24]
        path = f"{secret}.wav"
        louder = signals[condition] * np.float32(10 ** (gain / 20))
        audio.write(request.out / "audio" / path, louder, SAMPLE_RATE, "PCM_16")
        stimuli[condition] = Stimulus(path, round(gain, 3), round(loudness, 3))
    return Item(name, category, excerpt.file, excerpt.start, round(excerpt.seconds, 3), stimuli)


def _condition_audio(run: Path, system: str, file: str, reference: audio.Recording) -> NDArray[np.float32]:
    """The decoded signal of the run; reference and anchors need not be among its systems."""
    path = audio_path(run, system, file)
    if path.exists():
        return audio.read(path).samples
    parsed = parse(system)
    codec = family_of(parsed).open(parsed, reference.sample_rate, reference.channels)
    return transcode(codec, reference.samples, reference.sample_rate).audio


def _cut(signal: NDArray[np.float32], excerpt: Excerpt, reference: audio.Recording) -> NDArray[np.float32]:
    """The excerpt of [channels, time] at the study's rate, with raised-cosine ends."""
    rate = reference.sample_rate
    part = signal[:, round(excerpt.start * rate) : round((excerpt.start + excerpt.seconds) * rate)]
    part = audio.resample(part, rate, SAMPLE_RATE).copy()
    steps = round(FADE * SAMPLE_RATE)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(steps) / steps)).astype(np.float32)
    part[:, :steps] *= ramp
    part[:, part.shape[1] - steps :] *= ramp[::-1]
    return part
