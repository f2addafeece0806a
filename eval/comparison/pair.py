"""A decoded signal beside its reference: converted to one sample rate and channel count, and aligned.

`earmark score`, `earmark.score` and comparisons all prepare their signals here, so that the same pair has the same
scores everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from earmark.codec.audio import Audio, Recording, resample
from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.plain import fraction_left
from earmark.eval.alignment.result import SEARCH, Alignment, Mark, Rule
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Metric, Score, failed

FITTED = 0.1  # seconds by which the lengths may differ without a mark
CHANNELS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Pair:
    """A decoded signal as it is scored.

    Args:
        decoded: [channels, time] in the sample rate and shape of the reference, aligned with it.
        alignment: what alignment found and did.
        lag_left: fraction of a sample that the alignment left; None if it cannot be estimated.
        longer: seconds by which the decoded signal was longer than the reference; negative if it was shorter.
        notes: what was converted, and the marks of the alignment, one clause each.
    """

    decoded: Audio
    alignment: Alignment
    lag_left: float | None
    longer: float
    notes: tuple[str, ...]

    @property
    def lag(self) -> int:
        """Whole samples, at the sample rate of the reference, that the alignment removed; positive if it was late."""
        return round(self.alignment.removed)

    @property
    def length_fits(self) -> bool:
        """Whether the lengths differed by at most 100 ms."""
        return abs(self.longer) <= FITTED


def matched(reference: Recording, decoded: Recording, rule: Rule = SEARCH, converted: tuple[str, ...] = ()) -> Pair:
    """Convert a decoded signal to the format of its reference, and align it.

    Args:
        reference: as it is scored, e.g. at 48 kHz at most (see `earmark.eval.comparison.corpus.load`).
        decoded: in any sample rate and channel count, and not cut to the length of the reference.
        rule: how to align.
        converted: what was converted before.
    """
    rate, samples = reference.sample_rate, resample(decoded.samples, decoded.sample_rate, reference.sample_rate)
    notes = list(converted)
    if decoded.sample_rate != rate:
        notes.append(f"resampled from {_khz(decoded.sample_rate)} to {_khz(rate)}")
    if decoded.channels != reference.channels:
        samples = _with_channels(samples, reference.channels)
        notes.append(f"converted from {_channels(decoded.channels)} to {_channels(reference.channels)}")
    aligned = align(reference.samples, samples, rate, rule)
    alignment = aligned.alignment
    if notes and rule.mode != "documented":
        alignment = replace(alignment, marks=(*alignment.marks, Mark("converted", ", ".join(notes))))
    longer = (samples.shape[-1] - reference.samples.shape[-1]) / rate
    notes += [mark.text for mark in aligned.alignment.marks]
    return Pair(aligned.audio, alignment, fraction_left(reference.samples, aligned.audio), longer, tuple(notes))


def scored(metric: Metric, reference: Recording, decoded: Audio, alignment: Alignment | None) -> Score:
    """Score an aligned signal over the part of the reference that it covers.

    Args:
        decoded: [channels, time] of the shape of the reference.
        alignment: from `matched`; None if it is not known, which scores the whole.
    """
    length = reference.samples.shape[-1]
    if alignment is None:
        return evaluate(metric, reference.samples, decoded, reference.sample_rate)
    part = alignment.covered(length)
    if not alignment.covers_enough(length):
        return failed(f"only {max(0, part.stop - part.start) / max(1, length):.0%} of the recording was decoded")
    return evaluate(metric, reference.samples[:, part], decoded[:, part], reference.sample_rate)


def _with_channels(samples: Audio, channels: int) -> Audio:
    """Average the channels of [channels, time], and repeat the average if more than one is wanted."""
    return np.repeat(samples.mean(axis=0, keepdims=True), channels, axis=0)


def _khz(rate: int) -> str:
    return f"{rate / 1000:g} kHz"


def _channels(count: int) -> str:
    return CHANNELS.get(count, f"{count} channels")
