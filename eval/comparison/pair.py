"""Audio decoded elsewhere beside its reference: converted to one sample rate, channel count, delay and length.

`earmark score`, `earmark.score` and decoded folders in a comparison all prepare their signals here, so that the same
pair has the same scores everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.codec.audio import Audio, Recording, fit_length, resample
from earmark.eval.comparison.alignment import MAX_LAG, advance, estimate_lag, lag_left

FITTED = 0.1  # seconds by which the lengths may differ without a mark
CHANNELS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Pair:
    """A decoded signal as it is scored.

    Args:
        decoded: [channels, time] in the sample rate and shape of the reference, aligned with it.
        lag: samples, at the sample rate of the reference, that the alignment removed; positive if it was late.
        lag_left: fraction of a sample that the alignment left; None if it cannot be estimated.
        longer: seconds by which the decoded signal was longer than the reference; negative if it was shorter.
        notes: what was converted, one clause each.
    """

    decoded: Audio
    lag: int
    lag_left: float | None
    longer: float
    notes: tuple[str, ...]

    @property
    def length_fits(self) -> bool:
        """Whether the lengths differed by at most 100 ms."""
        return abs(self.longer) <= FITTED


def matched(reference: Recording, decoded: Recording) -> Pair:
    """Convert a decoded signal to the format of its reference, and align it.

    Args:
        reference: as it is scored, e.g. at 48 kHz at most (see `earmark.eval.comparison.corpus.load`).
        decoded: in any sample rate and channel count.
    """
    notes = []
    rate = reference.sample_rate
    samples = resample(decoded.samples, decoded.sample_rate, rate)
    if decoded.sample_rate != rate:
        notes.append(f"resampled from {_khz(decoded.sample_rate)} to {_khz(rate)}")
    if decoded.channels != reference.channels:
        samples = _with_channels(samples, reference.channels)
        notes.append(f"converted from {_channels(decoded.channels)} to {_channels(reference.channels)}")
    length = reference.samples.shape[-1]
    longer = samples.shape[-1] - length
    if longer:
        notes.append(_length_note(longer, rate))
    samples = fit_length(samples, length)
    lag, left = 0, None
    if length and np.isfinite(reference.samples).all() and np.isfinite(samples).all():
        lag = estimate_lag(reference.samples, samples)
        samples = advance(samples, lag) if lag else samples
        left = lag_left(reference.samples, samples)
        if abs(lag) == MAX_LAG:
            notes.append(f"{abs(lag)} samples {'late' if lag > 0 else 'early'}, the limit of the search")
    return Pair(samples, lag, left, longer / rate, tuple(notes))


def _with_channels(samples: Audio, channels: int) -> Audio:
    """Average the channels of [channels, time], and repeat the average if more than one is wanted."""
    return np.repeat(samples.mean(axis=0, keepdims=True), channels, axis=0)


def _length_note(longer: int, rate: int) -> str:
    """What fitting the length did; a difference above 100 ms is marked, since it rarely comes from a codec."""
    change = f"{_duration(abs(longer), rate)} {'longer' if longer > 0 else 'shorter'} than the reference"
    fitted = "its end was cut" if longer > 0 else "its end was padded"
    mark = "" if abs(longer) <= FITTED * rate else "; CHECK the file: codecs differ by less than 100 ms"
    return f"{change}, {fitted}{mark}"


def _duration(samples: int, rate: int) -> str:
    milliseconds = 1000 * samples / rate
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.3g} ms"


def _khz(rate: int) -> str:
    return f"{rate / 1000:g} kHz"


def _channels(count: int) -> str:
    return CHANNELS.get(count, f"{count} channels")
