"""Delay, polarity and level of what came back, and whether the delay stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from earmark.codec.audio import Audio, resample
from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.result import Alignment

ALIGNED = ("speech", "noise", "sweep", "speech at full scale")
GOOD = 0.5  # height of the correlation from which a delay is accurate to a sample
EXACT = 0.9  # the same from which a click comes back as one
PROMINENT = 8.0  # peak of a click's echo over the root mean square around it
AROUND = 0.02  # seconds around a click
SAME = 1.0  # samples by which delays may differ
LENGTH_RATIO = 0.01  # part by which the length must differ for another sample rate to be tried
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class Delay:
    """Delay of a codec in samples, positive if the decoded signal is late.

    Args:
        samples: that of the signal with the best match; None if no signal matches.
        by_signal: those that are accurate to a sample.
        changes: what shows that it is not constant: "drift (+50 ppm) in speech".
        approximate: whether it comes from spectral envelopes, which are accurate to about 2 ms.
        sign: -1 if the polarity is inverted, None if unknown.
    """

    samples: float | None
    by_signal: Mapping[str, float]
    changes: tuple[str, ...]
    approximate: bool
    sign: int | None


def alignments(passages: Mapping[str, tuple[Audio, Audio]], sample_rate: int) -> dict[str, Alignment]:
    """Align what came back for each signal that has one delay.

    Args:
        passages: test signal -> source and decoded signal, [channels, any time] each.
    """
    return {
        name: align(*passages[name], sample_rate).alignment
        for name in ALIGNED
        if name in passages and passages[name][1].shape[-1] > 1
    }


def delay(passages: Mapping[str, tuple[Audio, Audio]], aligned: Mapping[str, Alignment], sample_rate: int) -> Delay:
    """Delay of a codec by all signals, and by single clicks if the codec keeps waveforms."""
    good = {name: one for name, one in aligned.items() if one.clear and (one.peak or 0.0) >= GOOD}
    moving = {
        name: [mark.text for mark in one.marks if mark.name in ("drift", "jump")]
        for name, one in aligned.items()
        if not one.by_envelope
    }
    moving = {name: texts for name, texts in moving.items() if texts}
    changes = [f"{text} in {name}" for name, texts in moving.items() for text in texts]
    if len(moving) == 1 and not moving.keys() & good.keys():  # one weak match is no proof
        changes = []
    if not good:
        rest = [one for one in aligned.values() if "unaligned" not in one.names and one.delay is not None]
        best = max(rest, key=lambda one: one.peak or 0.0, default=None)
        sign = best.sign if best is not None and best.clear and not best.by_envelope else None
        samples = None if best is None else best.removed
        return Delay(samples, {}, tuple(changes), best is not None and best.by_envelope, sign)
    best = max(good.values(), key=lambda one: one.peak or 0.0)
    by_signal = {name: one.removed for name, one in good.items()}
    if not changes and max(by_signal.values()) - min(by_signal.values()) > SAME:
        changes.append(", ".join(f"{samples:+.0f} in {name}" for name, samples in by_signal.items()))
    if (best.peak or 0.0) >= EXACT and "clicks" in passages and not changes:
        found = click_delays(*passages["clicks"], best.removed, sample_rate)
        if found and max(found) - min(found) > SAME:
            changes.append(f"{min(found):+d} to {max(found):+d} among clicks")
    return Delay(best.removed, by_signal, tuple(changes), False, best.sign)


def click_delays(source: Audio, decoded: Audio, expected: float, sample_rate: int) -> list[int]:
    """Delay of each click that stands out, in samples, searched 20 ms around the expected one."""
    reach, found = round(AROUND * sample_rate), []
    for at in np.flatnonzero(source[0]):
        first = int(at) + round(expected) - reach
        part = np.abs(decoded[0, max(0, first) : max(0, first + 2 * reach + 1)].astype(np.float64))
        if part.size > reach and part.max() > PROMINENT * np.sqrt(np.mean(part**2)):
            found.append(max(0, first) + int(part.argmax()) - int(at))
    return found


def played_at(source: Audio, decoded: Audio, sample_rate: int) -> tuple[int, int] | None:
    """(rate at which the decoder works, rate of the source), if its output fits only after resampling between them.

    Args:
        source: noise, [channels, time]; decoded: [channels, any time], which is labelled with `sample_rate`.
    """
    ratio = decoded.shape[-1] / source.shape[-1]
    if abs(ratio - 1) < LENGTH_RATIO or decoded.shape[-1] < 0.05 * sample_rate:
        return None
    near = [rate for rate in RATES if abs(rate / sample_rate / ratio - 1) < 0.03]
    for rate in near:
        found = align(source, resample(decoded, rate, sample_rate), sample_rate).alignment
        if found.clear and (found.peak or 0.0) >= GOOD / 2:
            return rate, sample_rate
    return None


def gain_db(aligned: Mapping[str, Alignment]) -> float | None:
    """Level of the decoded signal over that of the source in dB, by the better match of speech and noise."""
    able = [aligned[name] for name in ("speech", "noise") if name in aligned and aligned[name].gain_db is not None]
    return max(able, key=lambda one: one.peak or 0.0).gain_db if able else None
