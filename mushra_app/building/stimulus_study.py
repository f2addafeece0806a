"""`earmark study build --stimuli`: a study from a folder of audio files that something else has made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from earmark.codec import audio
from earmark.codec.progress import progress
from earmark.codec.text import counted
from earmark.mushra_app.building import stimulus_layout
from earmark.mushra_app.building.build import (
    LOW_ANCHOR,
    MID_ANCHOR,
    MOST_TRIALS,
    Built,
    audio_of_earlier_study,
    save,
)
from earmark.mushra_app.building.run_audio import coded
from earmark.mushra_app.building.stimulus_faults import Measured, StimulusError, examine, item_name
from earmark.mushra_app.building.stimulus_format import Levels, levels_of, study_rate, write_stimuli
from earmark.mushra_app.building.stimulus_layout import Fault, Key, Stimuli
from earmark.mushra_app.building.stimulus_lengths import Fit, Fitting
from earmark.mushra_app.ratings.table import assign_roles
from earmark.mushra_app.study.study import Condition, Item, Role, Study


@dataclass(frozen=True)
class StimuliRequest:
    """Options of `earmark study build --stimuli`.

    Args:
        stimuli: folder of the audio files.
        out: folder of the new study.
        layout: "folders" or a pattern; see `stimulus_layout.find`.
        reference, low_anchor: conditions with these roles; None for those with a usual name.
        systems: conditions to use beside the reference and the low anchor; empty for all.
        fit: what to do with differences in length.
        levels: "equal" matches the loudness of the conditions of an item, "keep" changes no level.
        rate: sample rate of the study in Hz; None for that of the references.
        bits: resolution of the stimuli; None for that of the references, 16 or 24.
        per_category: number of items in each category; None for all.
        annotations: minimum number of ratings per item.
        trials: items per listener; None for all, at most 12.
        anchor: whether to make the 3.5 kHz low-pass anchor, unless a condition is the low anchor.
        mid_anchor: whether to make the 7 kHz one, unless a condition is the mid anchor.
        keep_going: whether to skip the items that have faults.
        seed: seed for the choice of items and the names of files.
        force: replace a study in `out` that no listener has taken.
    """

    stimuli: Path
    out: Path
    layout: str = stimulus_layout.FOLDERS
    reference: str | None = None
    low_anchor: str | None = None
    systems: tuple[str, ...] = ()
    fit: Fit = "small"
    levels: Levels = "equal"
    rate: int | None = None
    bits: int | None = None
    per_category: int | None = None
    annotations: int = 10
    trials: int | None = None
    anchor: bool = True
    mid_anchor: bool = False
    keep_going: bool = False
    seed: int = 0
    force: bool = False


@dataclass(frozen=True)
class Checked:
    """The stimuli of a study to be, checked.

    Args:
        keys: items to use.
        roles: of all conditions.
        faults: of the items and files that are skipped.
        notes: on the choice of items.
    """

    stimuli: Stimuli
    measured: Measured
    keys: tuple[Key, ...]
    roles: Mapping[str, Role]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]


def check_stimuli(request: StimuliRequest) -> Checked:
    """Find and check all files; writes nothing.

    Raises:
        StimulusError, UserError: see `build_from_stimuli`.
    """
    audio_of_earlier_study(request.out, force=request.force)
    wanted = [*request.systems, *([request.low_anchor] if request.systems and request.low_anchor else [])]
    stimuli = stimulus_layout.find(request.stimuli, request.layout, request.reference, wanted, request.out)
    measured, faults = examine(stimuli, request.fit, request.rate)
    roles, role_faults = _roles(request, stimuli)
    faults += role_faults
    faulty = {fault.item for fault in faults}
    keys = [key for key in stimuli.files if key not in faulty]
    fatal = any(fault.item is None and not fault.stray for fault in faults)
    if faults and (not request.keep_going or fatal or not keys):
        raise StimulusError(request.stimuli, faults)
    keys, notes = _chosen(request, keys)
    return Checked(stimuli, measured, tuple(keys), roles, tuple(faults), tuple(notes))


def build_from_stimuli(request: StimuliRequest, checked: Checked | None = None) -> Built:
    """Check all files, then write STUDY/study.json and STUDY/audio.

    Args:
        checked: result of `check_stimuli` for this request, if there is one.

    Raises:
        StimulusError: if the stimuli have faults; lists all of them. With `keep_going`, only if no item is left, or for
            faults that do not belong to an item.
        UserError: if the layout is wrong, or `out` holds a study that listeners have taken.
    """
    checked = checked or check_stimuli(request)
    earlier = audio_of_earlier_study(request.out, force=request.force)
    references = [checked.measured[key][checked.stimuli.reference or ""] for key in checked.keys]
    rate = request.rate or study_rate({one.sample_rate for one in references})
    bits = request.bits or (24 if any(16 < one.bits <= 24 for one in references) else 16)
    fitting = Fitting(request.fit)
    items = []
    with progress("write stimuli", len(checked.keys)) as advance:
        for key in checked.keys:
            items.append(_item(request, checked, key, fitting, rate, bits))
            advance(key[1])
    study = Study(
        name=request.out.resolve().name,
        sample_rate=rate,
        annotations=request.annotations,
        trials_per_listener=min(len(items), request.trials or MOST_TRIALS),
        conditions=tuple(Condition(name, role) for name, role in checked.roles.items()),
        items=tuple(items),
        provenance={
            "stimuli": str(request.stimuli),
            "layout": request.layout,
            "earmark": version("earmark"),
            "seed": str(request.seed),
        },
    )
    save(study, request.out, earlier)
    notes = [*checked.notes, *_conversions(checked, rate), *fitting.notes()]
    return Built(study, notes)


def _roles(request: StimuliRequest, stimuli: Stimuli) -> tuple[dict[str, Role], list[Fault]]:
    """Role of every condition, those of the anchors to make included; the reference comes first."""
    named: dict[Role, str | None] = {"hidden reference": stimuli.reference, "low anchor": request.low_anchor}
    faults = []
    if request.low_anchor is not None and request.low_anchor not in stimuli.conditions:
        faults.append(Fault(request.low_anchor, "no such condition for --low-anchor",
                            f"the conditions are {', '.join(stimuli.conditions)}"))  # fmt: skip
        named["low anchor"] = None
    elif request.low_anchor is not None and request.low_anchor == stimuli.reference:
        faults.append(Fault(request.low_anchor, "the reference and the low anchor", "name another --low-anchor"))
        named["low anchor"] = None
    if stimuli.reference not in stimuli.conditions:
        named["hidden reference"] = None
    roles, _ = assign_roles(stimuli.conditions, named, str(request.stimuli))
    if request.anchor and "low anchor" not in roles.values():
        roles[LOW_ANCHOR] = "low anchor"
    if request.mid_anchor and "mid anchor" not in roles.values():
        roles[MID_ANCHOR] = "mid anchor"
    return dict(sorted(roles.items(), key=lambda pair: pair[1] != "hidden reference")), faults


def _chosen(request: StimuliRequest, keys: Sequence[Key]) -> tuple[list[Key], list[str]]:
    """At most `per_category` items of each category, at random, in their order; and a note on those that remain."""
    if request.per_category is None:
        return list(keys), []
    order = np.random.default_rng(request.seed).permutation(len(keys))
    taken: Counter[str] = Counter()
    chosen = set()
    for index in order:
        category = keys[index][0]
        if taken[category] < request.per_category:
            taken[category] += 1
            chosen.add(int(index))
    skipped = len(keys) - len(chosen)
    notes = (
        [f"{counted(skipped, 'item')} not used, because of --per-category {request.per_category}."] if skipped else []
    )
    return [keys[index] for index in sorted(chosen)], notes


def _item(request: StimuliRequest, checked: Checked, key: Key, fitting: Fitting, rate: int, bits: int) -> Item:
    """Write the stimuli of an item and return it."""
    stimuli, roles, reference = checked.stimuli, checked.roles, checked.stimuli.reference
    assert reference is not None, "its absence is a fault"
    signals = {}
    for condition, path in stimuli.files[key].items():
        recording = audio.read(path)
        signals[condition] = audio.resample(recording.samples, recording.sample_rate, rate)
    channels = max(signal.shape[0] for signal in signals.values())
    signals = {name: np.repeat(one, channels // one.shape[0], axis=0) for name, one in signals.items()}
    signals = fitting.apply(signals, reference, rate)
    for anchor in roles.keys() - signals.keys():
        signals[anchor] = coded(signals[reference], anchor, rate)
    signals = {name: signals[name] for name in roles}
    levels = levels_of(signals, rate, request.levels)
    name = item_name(stimuli, key)
    written = write_stimuli(signals, levels, request.out, f"{request.seed}/{name}", rate, bits)
    seconds = signals[reference].shape[1] / rate
    return Item(name, key[0], stimuli.name(stimuli.files[key][reference]), 0.0, round(seconds, 3), written)


def _conversions(checked: Checked, rate: int) -> list[str]:
    """A sentence on each condition whose files were resampled, or made stereo."""
    notes, measured = [], [checked.measured[key] for key in checked.keys]
    for condition in checked.stimuli.conditions:
        some = [of[condition] for of in measured]
        rates = sorted({one.sample_rate for one in some} - {rate})
        if rates:
            notes.append(f"{condition}: converted from {' and '.join(map(str, rates))} Hz to {rate} Hz.")
        channels = [max(one.channels for one in of.values()) for of in measured]
        mono = sum(one.channels < most for one, most in zip(some, channels, strict=True))
        if mono:
            notes.append(f"{condition}: {counted(mono, 'mono file')} played in both channels, as others are stereo.")
    return notes
