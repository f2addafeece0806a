"""Align a decoded signal with its source: find the delay, remove it, and mark everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import Audio
from earmark.eval.alignment import faults
from earmark.eval.alignment.blocks import varies
from earmark.eval.alignment.plain import Match, height_at, match_near, signed_lag
from earmark.eval.alignment.result import (
    CERTAIN,
    LONG_EXTRA,
    LONG_GAP,
    MAX_LAG,
    SEARCH,
    Aligned,
    Alignment,
    Jump,
    Mark,
    Rule,
)
from earmark.eval.alignment.search import Delay, find_delay
from earmark.eval.alignment.shift import advanced
from earmark.eval.alignment.trajectory import Trajectory, trajectory
from earmark.eval.alignment.true_peak import beyond_full_scale, true_peak_db
from earmark.eval.alignment.windows import local_delays

MATCHES = 0.8  # plain correlation at the documented delay from which no other delay can be the right one
BETTER = 1.3  # how much higher the correlation must be at another delay to contradict a documented one
NOTABLE = 0.002  # seconds by which a delay must differ to contradict another; five times as much by the envelopes
SHARED_LOSS = 0.9  # part of its best correlation that a file must reach at the delay of the other files
LOCAL_HEIGHT = 0.5  # median height of windows that proves that waveforms match, whatever their common peak


@dataclass(frozen=True)
class Settled:
    """The planned alignment: samples to remove, polarity, development of the delay, and marks so far."""

    removed: float
    sign: int
    path: Trajectory | None = None
    marks: tuple[Mark, ...] = ()
    by_envelope: bool = False

    @property
    def changes(self) -> bool:
        """Whether the delay changes within the file, so that several delays are right."""
        return self.path is not None and (self.path.drifts or bool(self.path.jumps))


def align(source: Audio, decoded: Audio, sample_rate: int, rule: Rule = SEARCH) -> Aligned:
    """Align a decoded signal with its source.

    Args:
        source: [channels, time] at `sample_rate` Hz.
        decoded: [channels, any time] at the same rate and as complete as the codec gave it, neither cut nor padded.
        rule: how to find the delay.

    Returns:
        The decoded signal in the shape of the source, and what was found. A signal that is silent or has NaN is moved
        only by a given or shared delay.
    """
    source, decoded = np.ascontiguousarray(source, np.float32), np.ascontiguousarray(decoded, np.float32)
    known = Alignment(sample_rate, rule.mode, rule.delay)
    if not _usable(source) or not _usable(decoded):
        removed = float(rule.delay or 0.0) if rule.mode in ("given", "shared") else 0.0
        return _described(source, decoded, Settled(removed, 1), known)
    known = replace(known, true_peak_db=true_peak_db(decoded), beyond_full_scale=beyond_full_scale(decoded))
    if rule.mode == "documented":
        settled, found = _documented(source, decoded, sample_rate)
    else:
        found = find_delay(source, decoded, sample_rate)
        settled = _settled(source, decoded, sample_rate, found, rule)
    if found is not None:
        known = replace(known, delay=found.lag, clear=found.clear)
        if found.peak.swapped:
            settled = replace(settled, marks=(*settled.marks, Mark("swapped")))
    return _described(source, decoded, settled, known)


def _usable(audio: Audio) -> bool:
    """Whether [channels, time] has a waveform."""
    energy = sum(float(np.dot(channel, channel)) for channel in audio)  # NaN or infinite if a sample is
    return audio.shape[-1] > 1 and 0 < energy < np.inf


def _documented(source: Audio, decoded: Audio, sample_rate: int) -> tuple[Settled, Delay | None]:
    """Refine by up to 10 samples. Where the signals do not match then, let the search contradict."""
    lag = signed_lag(source, decoded)
    height, sign = height_at(source, decoded, lag)
    if height >= MATCHES and sign > 0:
        return Settled(float(lag), 1), None
    inverted = match_near(source, decoded, 0)
    if inverted.height >= MATCHES and inverted.sign < 0:
        return Settled(float(inverted.whole), -1), None
    found = find_delay(source, decoded, sample_rate)
    other = _contradicts(source, decoded, sample_rate, found, lag, height)
    marks = (Mark("delay", f"{_samples(found.lag or 0)}, not removed"),) if other else ()
    return Settled(float(lag), 1, marks=marks), found if other else None


def _contradicts(
    source: Audio, decoded: Audio, sample_rate: int, found: Delay, lag: float, height: float
) -> bool:  # fmt: skip
    """Whether the search found another delay than `lag`, at which the correlation is `height`, and is sure of it."""
    if found.lag is None or found.ambiguous:
        return False
    if found.by_envelope:
        return abs(found.lag - lag) > 5 * NOTABLE * sample_rate
    if abs(found.lag - lag) <= MAX_LAG:
        return False
    return match_near(source, decoded, round(found.lag)).height > max(CERTAIN, BETTER * height)


def _settled(source: Audio, decoded: Audio, sample_rate: int, found: Delay, rule: Rule) -> Settled:
    """Decide what to remove after a search, by the rule."""
    marks: tuple[Mark, ...] = ()
    if rule.mode == "none":
        if found.lag is not None and abs(found.lag) >= 0.5 and not found.ambiguous:
            marks = (Mark("delay", f"{_samples(found.lag)}, not removed"),)
        return Settled(0.0, 1, _path(source, decoded, found.lag or 0.0, sample_rate), marks)
    if rule.mode == "given":
        removed = float(rule.delay or 0.0)
        height, sign = height_at(source, decoded, round(removed))
        if _contradicts(source, decoded, sample_rate, found, removed, height):
            marks = (Mark("delay", f"{_samples(found.lag or 0)} found, {_samples(removed)} given"),)
        sign = sign if height > CERTAIN and found.clear else 1
        return Settled(removed, sign, _path(source, decoded, removed, sample_rate), marks)
    shared = _with_others(source, decoded, sample_rate, found, rule) if rule.mode == "shared" else None
    if shared is not None:
        return shared
    if found.lag is None:
        return Settled(0.0, 1, marks=(Mark("unaligned"),))
    settled = _by_search(source, decoded, sample_rate, found)
    marks = settled.marks
    if rule.mode == "shared":
        marks = (Mark("outlier", f"{_samples(settled.removed)} instead of {_samples(rule.delay or 0)}"), *marks)
    elif found.ambiguous and not settled.changes:
        marks = (Mark("ambiguous"), *marks)
    return replace(settled, marks=marks)


def _path(source: Audio, decoded: Audio, lag: float, sample_rate: int) -> Trajectory:
    return trajectory(local_delays(source, decoded, round(lag), sample_rate))


def _with_others(source: Audio, decoded: Audio, sample_rate: int, found: Delay, rule: Rule) -> Settled | None:
    """The delay of the other files, unless this file clearly has another."""
    delay, sign = float(rule.delay or 0.0), rule.sign
    lost = (Mark("unaligned", "delay of the other files"),) if found.lag is None else ()
    if found.lag is None or found.by_envelope or found.ambiguous:
        path = None if lost or found.by_envelope else _path(source, decoded, delay, sample_rate)
        return Settled(delay, sign, path, lost, found.by_envelope)
    here, there = (match_near(source, decoded, round(lag)) for lag in (delay, found.lag))
    agrees = here.height >= SHARED_LOSS * there.height
    # Where the waveforms hardly match, a neighbouring peak of a tonal sound is no evidence of another delay.
    near = abs(found.lag - delay) <= MAX_LAG and there.height < CERTAIN
    return Settled(delay, sign) if agrees or near else None


def _by_search(source: Audio, decoded: Audio, sample_rate: int, found: Delay) -> Settled:
    """Remove the delay of the search, refined by the plain waveform, or that in the middle if the delay changes."""
    lag = round(found.lag or 0.0)
    local = local_delays(source, decoded, lag, sample_rate)
    path = trajectory(local)
    heard = local.height[local.height > 0]
    matches = len(heard) > 0 and float(np.median(heard)) >= LOCAL_HEIGHT
    if found.by_envelope and not (matches and path.noise < MAX_LAG):
        return Settled(float(lag), 1, marks=(Mark("approximate"),), by_envelope=True)
    if path.drifts or path.jumps or found.by_envelope:
        lag = round(lag + path.middle)
        match = match_near(source, decoded, lag, reach=2)
        return Settled(float(lag), _sign(match, found), path)
    match = match_near(source, decoded, lag)
    if abs(match.whole - lag) == MAX_LAG:  # not a peak, but the slope of another
        return Settled(float(lag), 1, path)
    removed = match.whole + match.fraction
    if match.height < CERTAIN and abs(removed) <= MAX_LAG:
        # Where the waveforms hardly match, a tonal sound has neighbouring peaks of about the same height. They are no
        # evidence of a delay, and audio that a run has aligned already must keep its score.
        removed = 0.0
    return Settled(removed, _sign(match, found), path)


def _sign(match: Match, found: Delay) -> int:
    """Polarity, inverted only if there is no doubt: periodic signals match either way, half a period apart."""
    return match.sign if match.height > CERTAIN and found.clear else 1


def _described(source: Audio, decoded: Audio, settled: Settled, known: Alignment) -> Aligned:
    """Move the decoded signal and describe what is left."""
    length, rate = source.shape[-1], known.sample_rate
    audio = advanced(decoded, settled.removed, length)
    if settled.sign < 0:
        np.negative(audio, out=audio)
    start, end = max(0, round(-settled.removed)), max(0, round(length - (decoded.shape[-1] - settled.removed)))
    extra = max(0, round(decoded.shape[-1] - settled.removed) - length)
    known = replace(known, removed=settled.removed, sign=settled.sign, by_envelope=settled.by_envelope,
                    missing_start=min(start, length), missing_end=min(end, length), extra=extra)  # fmt: skip
    marks = list(settled.marks)
    if settled.sign < 0 and "inverted" not in [mark.name for mark in marks]:
        marks.append(Mark("inverted"))
    if known.true_peak_db is None:
        return Aligned(audio, replace(known, marks=(*marks, *_length_marks(known))))
    known, dropouts = _without_silent_ends(source, audio, known)
    part = known.covered(length)
    x, y = source[:, part], audio[:, part]
    if varies(x) and varies(y):
        level = faults.gain(x, y, rate)
        known = replace(known, gain_db=level.median if level else None, peak=height_at(x, y, 0)[0])
        marks += faults.channel_marks(x, y, swapped=any(mark.name == "swapped" for mark in marks))
        marks += faults.level_marks(x, y, level)
    if settled.path is not None:
        known, found = _path_marks(settled.path, known)
        marks += found
    if dropouts:
        seconds = sum(last - first for first, last in dropouts) / rate
        marks.append(Mark("dropout", f"{seconds:.2f} s from {dropouts[0][0] / rate:.2f} s"))
    unique = {mark.name: mark for mark in reversed([*marks, *_length_marks(known)])}
    return Aligned(audio, replace(known, marks=tuple(reversed(unique.values()))))


def _without_silent_ends(
    source: NDArray[np.float32], audio: NDArray[np.float32], known: Alignment
) -> tuple[Alignment, list[tuple[int, int]]]:  # fmt: skip
    """Count silence at the ends of the decoded signal, where the source has none, as missing; return other silence."""
    length, inner = source.shape[-1], []
    start, end = known.missing_start, known.missing_end
    for first, last in faults.silent_runs(source, audio, known.sample_rate):
        if first <= start:
            start = max(start, last)
        elif last >= length - end:
            end = max(end, length - first)
        else:
            inner.append((first, last))
    return replace(known, missing_start=start, missing_end=end), inner


def _path_marks(path: Trajectory, known: Alignment) -> tuple[Alignment, list[Mark]]:
    rate, marks = known.sample_rate, []
    drift = None if path.slope is None else 1e6 * path.slope
    jumps = tuple(Jump(at / rate, change) for at, change in path.jumps)
    if path.drifts and drift is not None:
        marks.append(Mark("drift", f"{drift:+.0f} ppm"))
    if jumps:
        more = f" and {len(jumps) - 1} more" if len(jumps) > 1 else ""
        marks.append(Mark("jump", f"{_samples(jumps[0].samples)} at {jumps[0].at:.2f} s{more}"))
    return replace(known, drift_ppm=drift, jumps=jumps), marks


def _length_marks(known: Alignment) -> Iterator[Mark]:
    start, end = known.missing_start / known.sample_rate, known.missing_end / known.sample_rate
    if max(start, end) > LONG_GAP:
        ends = {"start": start, "end": end}
        parts = (f"{seconds:.2f} s at the {name}" for name, seconds in ends.items() if seconds > LONG_GAP)
        yield Mark("missing", ", ".join(parts))
    if known.extra > LONG_EXTRA * known.sample_rate:
        yield Mark("extra", f"{known.extra / known.sample_rate:.2f} s")


def _samples(number: float) -> str:
    return f"{number:+.1f} samples" if abs(number - round(number)) > 0.05 else f"{number:+.0f} samples"
