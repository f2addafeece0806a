"""Before a study opens: is its audio fit to be compared, and its design what ITU-R BS.1534-3 asks for?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.eval.levels import SILENCE_LUFS
from earmark.mushra_app.building.stimulus_measures import Measured, Measures, measure_study
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.study import Study

Status = Literal["ok", "warn", "fail"]

MOST_CONDITIONS = 12  # BS.1534-3, 5.3: signals in one trial, the hidden reference and anchors among them
LONGEST_SESSION = 30  # minutes
SAME_LOUDNESS = 1.0  # LU between conditions of an item
AUDIBLE_LAG, JUMPING_LAG = 0.001, 0.010  # seconds
SURE = 0.3  # correlation with the reference from which on a lag means something


@dataclass(frozen=True)
class Finding:
    """What one check found: "fail" spoils the test for certain, "warn" is for the experimenter to judge."""

    check: str
    status: Status
    evidence: str


@dataclass(frozen=True)
class Preflight:
    """What all checks found."""

    findings: tuple[Finding, ...]

    def with_status(self, status: Status) -> list[Finding]:
        """The findings of that status."""
        return [finding for finding in self.findings if finding.status == status]


def check_study(study: Study, folder: Path) -> Preflight:
    """Run every check on the study in `folder`."""
    measured = measure_study(study, folder)
    return Preflight(tuple(check(study, measured) for check in CHECKS))


def refuse_failures(study: Study, folder: Path) -> Preflight:
    """Run every check; for `earmark study serve`, which opens no study that fails one unless it is told to.

    Raises:
        UserError: naming the first failure.
    """
    found = check_study(study, folder)
    failed = found.with_status("fail")
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise UserError(
            f"{folder}: {failed[0].check}: {failed[0].evidence}{more}; see `earmark study check {folder}`, build the "
            "study again, or open it all the same with --force"
        )
    return found


def files(study: Study, measured: Measured) -> Finding:
    """Every item has every condition, each a file that can be read."""
    wrong = []
    for item in study.items:
        wrong += [f"{item.id} has no {one.name}" for one in study.conditions if one.name not in item.stimuli]
    wrong += [one.error for _, _, one in _stimuli(measured) if one.error]
    items, conditions = counted(len(study.items), "item"), counted(len(study.conditions), "condition")
    count = len(study.items) * len(study.conditions)
    return _judged("files", "fail", wrong, f"{items} in {conditions}: {count} files")


def lengths(study: Study, measured: Measured) -> Finding:
    """The conditions of an item have the same number of samples: switching keeps its place, and sizes tell nothing."""
    wrong = []
    for item, conditions in measured.items():
        found = Counter(one.samples for one in conditions.values() if not one.error)
        if len(found) > 1:
            wrong.append(f"{item} has conditions of {_listed(sorted(found))} samples")
    return _judged("equal lengths", "fail", wrong, "in every item")


def formats(study: Study, measured: Measured) -> Finding:
    """Every stimulus is at the study's rate; the conditions of an item have as many channels, and as many bytes.

    A size that differs tells a listener who looks which condition is which.
    """
    wrong = [
        f"{item} in {name} is at {one.sample_rate} Hz, the study at {study.sample_rate} Hz"
        for item, name, one in _readable(measured)
        if one.sample_rate != study.sample_rate
    ]
    for item, conditions in measured.items():
        found = {one.channels for one in conditions.values() if not one.error}
        if len(found) > 1:
            wrong.append(f"{item} has conditions of {_listed(sorted(found))} channels")
        shapes = {(one.samples, one.channels) for one in conditions.values() if not one.error}
        sizes = {one.size for one in conditions.values() if not one.error}
        if len(shapes) == 1 and len(sizes) > 1:
            wrong.append(f"{item} has files of {_listed(sorted(sizes))} bytes, so their formats differ")
    return _judged("equal rates and formats", "fail", wrong, f"{study.sample_rate} Hz throughout")


def lag(study: Study, measured: Measured) -> Finding:
    """No condition is late or early: over 1 ms is worth a look, over 10 ms is heard as a jump when switching."""
    late = [
        (abs(one.lag) / one.sample_rate, f"{item} in {name} by {1000 * one.lag / one.sample_rate:+.1f} ms")
        for item, name, one in _readable(measured)
        if one.correlation >= SURE and abs(one.lag) > AUDIBLE_LAG * one.sample_rate
    ]
    worst = [text for _, text in sorted(late, reverse=True)]
    jumps = any(seconds > JUMPING_LAG for seconds, _ in late)
    told = "at most 1 ms, wherever the signals are alike enough to tell"
    return _judged("lag against the reference", "fail" if jumps else "warn", worst, told)


def loudness(study: Study, measured: Measured) -> Finding:
    """The conditions of an item are equally loud, within 1 LU: the louder of two seems the better."""
    wrong, widest = [], 0.0
    for item, conditions in measured.items():
        found = {name: one.loudness for name, one in conditions.items() if not one.error and _sounds(one)}
        if found:
            spread = max(found.values()) - min(found.values())
            widest = max(widest, spread)
            if spread > SAME_LOUDNESS:
                quiet, loud = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
                wrong.append(f"{item}: {loud} is {spread:.1f} LU louder than {quiet}")
    return _judged("loudness", "warn", wrong, f"conditions of an item differ by {widest:.1f} LU at most")


def clipping(study: Study, measured: Measured) -> Finding:
    """No stimulus has runs of samples at full scale."""
    wrong = [f"{item} in {name}: {one.clipped} runs" for item, name, one in _readable(measured) if one.clipped]
    return _judged("clipping", "warn", wrong, "no run of three samples at full scale")


def silence(study: Study, measured: Measured) -> Finding:
    """No stimulus is silent."""
    wrong = [f"{item} in {name}" for item, name, one in _readable(measured) if not _sounds(one)]
    return _judged("silence", "fail", wrong, "every stimulus sounds")


def differences(study: Study, measured: Measured) -> Finding:
    """No condition but the hidden reference is the reference itself, sample by sample."""
    hidden = {condition.name for condition in study.conditions if condition.role == "hidden reference"}
    copies = [(item, name) for item, name, one in _readable(measured) if one.is_reference_copy]
    wrong = [f"{item} in {name}" for item, name in copies if name not in hidden]
    return _judged("copies of the reference", "warn", wrong, "only the hidden reference is one")


def conditions(study: Study, measured: Measured) -> Finding:
    """12 signals a trial at most, exactly one hidden reference, something to rate."""
    roles = Counter(condition.role for condition in study.conditions)
    wrong = []
    if len(study.conditions) > MOST_CONDITIONS:
        wrong.append(f"{len(study.conditions)}, where a trial has {MOST_CONDITIONS} at most (BS.1534-3, 5.3)")
    if roles["hidden reference"] != 1:
        wrong.append(f"{roles['hidden reference']} hidden references, where there is one")
    if not roles["system"]:
        wrong.append("none of them a system under test")
    return _judged("conditions", "fail", wrong, f"{len(study.conditions)} in a trial, {MOST_CONDITIONS} at most")


def session(study: Study, measured: Measured) -> Finding:
    """A session is over within 30 minutes, practice and questions among them; see mushra_app/duration.py."""
    minutes = session_minutes(study)
    if minutes > LONGEST_SESSION:
        fitting = [n for n in range(1, study.trials_per_listener) if session_minutes(study, n) <= LONGEST_SESSION]
        remedy = f"; {counted(fitting[-1], 'trial')} a listener would make {LONGEST_SESSION}" if fitting else ""
        return Finding("session", "warn", f"about {minutes:.0f} minutes{remedy}")
    length = counted(max(1, round(minutes)), "minute")
    return Finding("session", "ok", f"about {length} for {counted(study.trials_per_listener, 'trial')}")


CHECKS: tuple[Callable[[Study, Measured], Finding], ...] = (
    files, lengths, formats, lag, loudness, clipping, silence, differences, conditions, session,
)  # fmt: skip


def _stimuli(measured: Measured) -> Iterator[tuple[str, str, Measures]]:
    for item, of_item in measured.items():
        for name, one in of_item.items():
            yield item, name, one


def _readable(measured: Measured) -> Iterator[tuple[str, str, Measures]]:
    return (stimulus for stimulus in _stimuli(measured) if not stimulus[2].error)


def _sounds(one: Measures) -> bool:
    return one.loudness > SILENCE_LUFS


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _judged(check: str, status: Status, wrong: list[str], right: str) -> Finding:
    """`right` where nothing is wrong, else what is, the first three of it."""
    if not wrong:
        return Finding(check, "ok", right)
    more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
    return Finding(check, status, "; ".join(wrong[:3]) + more)
