"""All faults of a folder of stimuli at once: missing and repeated files, damage, lengths, sample rates, silence."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import soundfile
from rich import box
from rich.table import Table
from rich.text import Text

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.suggestions import near
from earmark.codec.text import counted
from earmark.eval.levels import SILENCE_LUFS, loudness
from earmark.mushra_app.building.preflight import MOST_CONDITIONS
from earmark.mushra_app.building.stimulus_layout import Fault, Key, Stimuli
from earmark.mushra_app.building.stimulus_lengths import REMEDY as LENGTH_REMEDY
from earmark.mushra_app.building.stimulus_lengths import Fit, misfits

LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000  # Hz
SHORTEST = 0.5  # seconds


class StimulusError(UserError):
    """Stimuli with faults, which `faults` lists; `folder` is theirs, or the file that names them."""

    def __init__(self, folder: Path, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        shown = f"{self.faults[0].where}: {self.faults[0].fault}"
        more = f", and {len(self.faults) - 1} more" if len(self.faults) > 1 else ""
        super().__init__(f"{folder}: {counted(len(self.faults), 'fault')}: {shown}{more}; no study was written")


@dataclass(frozen=True)
class Measure:
    """A file as it was read.

    Args:
        bits: of its samples if they are integers, else 32.
        digest: hash of its samples; "" if it is silent.
    """

    samples: int
    sample_rate: int
    channels: int
    bits: int
    digest: str

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


Measured = Mapping[Key, Mapping[str, Measure]]  # item -> condition -> measure of its file; unreadable ones are missing


def examine(stimuli: Stimuli, fit: Fit = "small", rate: int | None = None) -> tuple[Measured, list[Fault]]:
    """Read every file, and list every fault of the folder, in the order of the items.

    Args:
        fit: which differences in length are accepted; see `stimulus_lengths.misfits`.
        rate: sample rate to which all files will be converted on request; None allows one rate per condition, or that
            of each item's reference.
    """
    faults = [*stimuli.faults, *_conditions(stimuli)]
    measured: dict[Key, dict[str, Measure]] = defaultdict(dict)
    with progress("read stimuli", len(stimuli.files)) as advance:
        for key, files in stimuli.files.items():
            faults += _missing(stimuli, key)
            for condition, path in files.items():
                try:
                    measured[key][condition] = measure(path)
                except UserError as error:
                    faults.append(unreadable(stimuli.name(path), path, error, key))
            advance(key[1])
    faults += _silences(stimuli, measured)
    faults += _lengths(stimuli, measured, fit)
    if rate is None:
        faults += _rates(stimuli, measured)
    faults += _copies(stimuli, measured)
    return measured, faults


def faults_table(faults: Iterable[Fault]) -> Table:
    """Table for a terminal: one row per fault."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("file, item or condition", overflow="fold", ratio=3)
    table.add_column("fault", overflow="fold", ratio=4)
    table.add_column("remedy", overflow="fold", ratio=3)
    for one in faults:
        table.add_row(Text(one.where), Text(one.fault), Text(one.remedy))  # Text, because names may look like markup
    return table


def unreadable(name: str, path: Path, error: UserError, key: Key | None = None) -> Fault:
    """The fault of a file that `measure` cannot read."""
    fault, _, remedy = str(error).removeprefix(f"{path}: ").partition("; ")
    return Fault(name, fault, remedy or "export it again", key)


def measure(path: Path) -> Measure:
    """Read a file.

    Raises:
        UserError: not audio, empty, truncated, more than two channels, NaN or infinite samples.
    """
    recording = audio.read(path)
    subtype = soundfile.info(path).subtype
    bits = int(subtype[4:]) if subtype.startswith("PCM_") and subtype[4:].isdigit() else 32
    silent = loudness(recording.samples, recording.sample_rate) <= SILENCE_LUFS
    digest = "" if silent else hashlib.sha256(recording.samples.tobytes()).hexdigest()
    return Measure(recording.samples.shape[1], recording.sample_rate, recording.channels, bits, digest)


def _conditions(stimuli: Stimuli) -> Iterator[Fault]:
    shown = ", ".join(stimuli.conditions)
    if stimuli.reference is None:
        yield Fault(str(stimuli.folder), "no condition, or several, with a usual name for the hidden reference",
                    f"name one by --reference: {shown}")  # fmt: skip
    if len(stimuli.conditions) > MOST_CONDITIONS:
        yield Fault(
            str(stimuli.folder),
            f"{len(stimuli.conditions)} conditions; a trial has at most {MOST_CONDITIONS} (BS.1534-3)",
            "name fewer by --systems",
        )
    if not set(stimuli.conditions) - {stimuli.reference}:
        yield Fault(str(stimuli.folder), "no condition except the reference", "add one, or change --layout")


def _missing(stimuli: Stimuli, key: Key) -> Iterator[Fault]:
    """One fault for an item that lacks files."""
    absent = [name for name in stimuli.conditions if name not in stimuli.files[key]]
    if not absent:
        return
    texts = ["no reference"] if stimuli.reference in absent else []
    others = [name for name in absent if name != stimuli.reference]
    texts += [f"no file in {', '.join(others)}"] if others else []
    similar = near(key[1], [name for category, name in stimuli.files if (category, name) != key and category == key[0]])
    hint = f"; is it {similar[0]}?" if similar else ""
    yield Fault(item_name(stimuli, key), "; ".join(texts), f"add the files, or rename them{hint}", key)


def _silences(stimuli: Stimuli, measured: Measured) -> Iterator[Fault]:
    for key, condition, one in _each(measured):
        if not one.digest:
            yield Fault(_file(stimuli, key, condition), "silent", "replace it, or remove the item", key)


def _lengths(stimuli: Stimuli, measured: Measured, fit: Fit) -> Iterator[Fault]:
    for key, conditions in measured.items():
        for condition, fault in unequal_lengths(conditions, stimuli.reference, fit).items():
            yield Fault(_file(stimuli, key, condition), fault, LENGTH_REMEDY, key)
    for key, condition, one in _each(measured):
        if one.seconds < SHORTEST and condition == stimuli.reference:
            yield Fault(_file(stimuli, key, condition), f"only {one.seconds:.3f} s", "remove the item", key)


def unequal_lengths(conditions: Mapping[str, Measure], reference: str | None, fit: Fit) -> dict[str, str]:
    """Condition -> fault, for the conditions of an item whose length cannot be accepted."""
    lengths = {name: (one.samples, one.sample_rate) for name, one in conditions.items()}
    than = "the reference" if reference in conditions else "the other conditions"
    return {
        name: f"{conditions[name].seconds:.3f} s, {1000 * abs(difference):.1f} ms "
              f"{'longer' if difference > 0 else 'shorter'} than {than}"
        for name, difference in misfits(lengths, reference, fit).items()
    }  # fmt: skip


def _rates(stimuli: Stimuli, measured: Measured) -> Iterator[Fault]:
    """Files whose rate is not that of their reference, or of the other files of their condition: probably a mistake."""
    for key, condition, one in _each(measured):
        if not LOWEST_RATE <= one.sample_rate <= HIGHEST_RATE:
            yield Fault(_file(stimuli, key, condition), f"{one.sample_rate} Hz", "convert it to 48000 Hz", key)
    hidden = stimuli.reference or ""
    references = {key: of[hidden].sample_rate for key, of in measured.items() if hidden in of}
    for condition in stimuli.conditions:
        of_condition = {key: of[condition].sample_rate for key, of in measured.items() if condition in of}
        (common, count), *_ = Counter(of_condition.values()).most_common(1) or [(0, 0)]
        matching = sum(references.get(key, rate) == rate for key, rate in of_condition.items())
        follows = bool(references) and matching >= count
        for key, rate in of_condition.items():
            expected = references.get(key, rate) if follows else common
            if rate != expected:
                what = "its reference has" if follows else f"the other files of {condition} have"
                yield Fault(_file(stimuli, key, condition), f"{rate} Hz; {what} {expected} Hz",
                            "export it again, or convert all by --rate", key)  # fmt: skip


def _copies(stimuli: Stimuli, measured: Measured) -> Iterator[Fault]:
    """Files with the audio of another item."""
    first: dict[str, tuple[Key, str]] = {}
    for key, condition, one in _each(measured):
        other, other_condition = first.setdefault(one.digest, (key, condition)) if one.digest else (key, condition)
        if other != key:
            same = _file(stimuli, other, other_condition)
            yield Fault(_file(stimuli, key, condition), f"the same audio as {same}", "replace one of them", key)


def _each(measured: Measured) -> Iterator[tuple[Key, str, Measure]]:
    for key, conditions in measured.items():
        for condition, one in conditions.items():
            yield key, condition, one


def _file(stimuli: Stimuli, key: Key, condition: str) -> str:
    return stimuli.name(stimuli.files[key][condition])


def item_name(stimuli: Stimuli, key: Key) -> str:
    """Name of an item: without its category if no other item has it."""
    category, name = key
    return name if sum(other == name for _, other in stimuli.files) == 1 else f"{category}/{name}"
