"""Pre-flight checks of a study: its files, formats, delays and levels, its conditions, and the length of a session."""

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

MOST_CONDITIONS = 12  # BS.1534-3, 5.3: signals in one trial, including the hidden reference and the anchors
LONGEST_SESSION = 30  # minutes
HIGHEST_USUAL_RATE = 48_000  # Hz; that of sound cards
SAME_LOUDNESS = 1.0  # LU; largest difference between conditions of an item
NOTABLE_LAG, AUDIBLE_LAG = 0.001, 0.010  # seconds
LEAST_CORRELATION = 0.3  # with the reference; below, the measured lag means nothing


@dataclass(frozen=True)
class Finding:
    """Result of one check: "fail" makes the test invalid, "warn" needs the experimenter's judgement."""

    check: str
    status: Status
    evidence: str


@dataclass(frozen=True)
class Preflight:
    """Results of all checks."""

    findings: tuple[Finding, ...]

    def with_status(self, status: Status) -> list[Finding]:
        """Findings with this status."""
        return [finding for finding in self.findings if finding.status == status]


def check_study(study: Study, folder: Path) -> Preflight:
    """Run every check on the study in `folder`, which holds its audio."""
    measured = measure_study(study, folder)
    return Preflight(tuple(check(study, measured) for check in CHECKS))


def refuse_failures(study: Study, folder: Path) -> Preflight:
    """Run every check and refuse a study that fails one, for `earmark study serve` without --force.

    Raises:
        UserError: if a check fails; names the first failure.
    """
    result = check_study(study, folder)
    failed = result.with_status("fail")
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise UserError(
            f"{folder}: {failed[0].check}: {failed[0].evidence}{more}; see `earmark study check {folder}`, build the "
            "study again, or open it anyway with --force"
        )
    return result


def files(study: Study, measured: Measured) -> Finding:
    """Every item has a readable file for every condition."""
    wrong = []
    for item in study.items:
        needed = (study.hidden_reference,) if study.items_vary else study.conditions
        wrong += [f"{item.id} has no {one.name}" for one in needed if one.name not in item.stimuli]
    wrong += [one.error for _, _, one in _stimuli(measured) if one.error]
    items, conditions = counted(len(study.items), "item"), counted(len(study.conditions), "condition")
    count = sum(len(study.conditions_of(item)) for item in study.items)
    return _judged("files", "fail", wrong, f"{items} in {conditions}: {count} files")


def lengths(study: Study, measured: Measured) -> Finding:
    """The conditions of an item have the same number of samples.

    Switching between them then keeps the playback position, and file sizes do not give a condition away.
    """
    wrong = []
    for item, conditions in measured.items():
        samples = {one.samples for one in conditions.values() if not one.error}
        if len(samples) > 1:
            wrong.append(f"{item} has conditions of {_listed(sorted(samples))} samples")
    return _judged("equal lengths", "fail", wrong, "in every item")


def formats(study: Study, measured: Measured) -> Finding:
    """Every stimulus has the study's sample rate; the conditions of an item have equal channels and file sizes.

    Different file sizes would tell a listener which condition is which.
    """
    wrong = [
        f"{item} in {name} is at {one.sample_rate} Hz, the study at {study.sample_rate} Hz"
        for item, name, one in _readable(measured)
        if one.sample_rate != study.sample_rate
    ]
    for item, conditions in measured.items():
        channels = {one.channels for one in conditions.values() if not one.error}
        if len(channels) > 1:
            wrong.append(f"{item} has conditions of {_listed(sorted(channels))} channels")
        shapes = {(one.samples, one.channels) for one in conditions.values() if not one.error}
        sizes = {one.size for one in conditions.values() if not one.error}
        if len(shapes) == 1 and len(sizes) > 1:
            wrong.append(f"{item} has files of {_listed(sorted(sizes))} bytes, so their formats differ")
    if not wrong and study.sample_rate > HIGHEST_USUAL_RATE:
        evidence = f"{study.sample_rate} Hz: many browsers and sound cards resample it, and some refuse it"
        return Finding("equal rates and formats", "warn", evidence)
    return _judged("equal rates and formats", "fail", wrong, f"{study.sample_rate} Hz throughout")


def lag(study: Study, measured: Measured) -> Finding:
    """No condition is late or early: more than 1 ms is a warning, more than 10 ms is audible as a jump on switching."""
    late = [
        (abs(one.lag) / one.sample_rate, f"{item} in {name} by {1000 * one.lag / one.sample_rate:+.1f} ms")
        for item, name, one in _readable(measured)
        if one.correlation >= LEAST_CORRELATION and abs(one.lag) > NOTABLE_LAG * one.sample_rate
    ]
    worst = [text for _, text in sorted(late, reverse=True)]
    audible = any(seconds > AUDIBLE_LAG for seconds, _ in late)
    right = "at most 1 ms, where signals correlate well enough to measure it"
    return _judged("lag against the reference", "fail" if audible else "warn", worst, right)


def loudness(study: Study, measured: Measured) -> Finding:
    """The conditions of an item differ by at most 1 LU, since listeners prefer the louder of two signals."""
    wrong, widest = [], 0.0
    for item, conditions in measured.items():
        levels = {name: one.loudness for name, one in conditions.items() if not one.error and _is_audible(one)}
        if levels:
            spread = max(levels.values()) - min(levels.values())
            widest = max(widest, spread)
            if spread > SAME_LOUDNESS:
                quiet, loud = min(levels, key=levels.__getitem__), max(levels, key=levels.__getitem__)
                wrong.append(f"{item}: {loud} is {spread:.1f} LU louder than {quiet}")
    return _judged("loudness", "warn", wrong, f"conditions of an item differ by at most {widest:.1f} LU")


def clipping(study: Study, measured: Measured) -> Finding:
    """No stimulus has runs of samples at full scale."""
    wrong = [f"{item} in {name}: {one.clipped} runs" for item, name, one in _readable(measured) if one.clipped]
    return _judged("clipping", "warn", wrong, "no run of three samples at full scale")


def silence(study: Study, measured: Measured) -> Finding:
    """No stimulus is silent."""
    wrong = [f"{item} in {name}" for item, name, one in _readable(measured) if not _is_audible(one)]
    return _judged("silence", "fail", wrong, "no stimulus is silent")


def differences(study: Study, measured: Measured) -> Finding:
    """No condition except the hidden reference equals the reference sample by sample."""
    hidden = {condition.name for condition in study.conditions if condition.role == "hidden reference"}
    copies = [(item, name) for item, name, one in _readable(measured) if one.is_reference_copy]
    wrong = [f"{item} in {name}" for item, name in copies if name not in hidden]
    return _judged("copies of the reference", "warn", wrong, "only the hidden reference")


def conditions(study: Study, measured: Measured) -> Finding:
    """A trial has at most 12 signals, exactly one hidden reference and at least one system."""
    roles = Counter(condition.role for condition in study.conditions)
    wrong = []
    most = max((len(study.conditions_of(item)) for item in study.items), default=0)
    if most > MOST_CONDITIONS:
        wrong.append(f"{most}, but a trial has at most {MOST_CONDITIONS} (BS.1534-3, 5.3)")
    if roles["hidden reference"] != 1:
        wrong.append(f"{roles['hidden reference']} hidden references instead of one")
    if not roles["system"]:
        wrong.append("no system under test among them")
    if not wrong and study.items_vary:
        lacking = [
            f"{item.id} has no {one.name}"
            for item in study.items
            for one in study.conditions
            if one not in study.conditions_of(item)
        ]
        return _judged("conditions", "warn", lacking, f"{most} in a trial, of at most {MOST_CONDITIONS}")
    return _judged("conditions", "fail", wrong, f"{most} in a trial, of at most {MOST_CONDITIONS}")


def session(study: Study, measured: Measured) -> Finding:
    """A session takes at most 30 minutes, with all its pages; see mushra_app/study/duration.py."""
    minutes = session_minutes(study)
    if minutes > LONGEST_SESSION:
        fitting = [n for n in range(1, study.trials_per_listener) if session_minutes(study, n) <= LONGEST_SESSION]
        remedy = f"; {counted(fitting[-1], 'trial')} per listener would fit in {LONGEST_SESSION}" if fitting else ""
        return Finding("session", "warn", f"about {minutes} minutes{remedy}")
    length = counted(minutes, "minute")
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


def _is_audible(one: Measures) -> bool:
    return one.loudness > SILENCE_LUFS


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _judged(check: str, status: Status, wrong: list[str], right: str) -> Finding:
    """Finding "ok" with the evidence `right` if nothing is wrong, else `status` with the first three faults."""
    if not wrong:
        return Finding(check, "ok", right)
    more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
    return Finding(check, status, "; ".join(wrong[:3]) + more)
