"""Whether a codec gives the same for the same recording: twice, after another one, and in a fresh process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earmark.codec.audio import fit_length
from earmark.eval.probe.coder import Call

Verdict = Literal["same", "rounding", "process", "leak", "leak beyond the process", "random"]
ROUNDING = -90.0  # dB; differences below are those of parallel sums


@dataclass(frozen=True)
class Repeatability:
    """How far calls for one recording agree.

    Args:
        verdict: "same" if all calls agree; "rounding" if they differ by less than -90 dB. "process": calls within a
            process agree, another process differs. "leak": each process begins alike and then changes. "leak beyond the
            process": only the recording before matters, even in another process. "random": nothing explains it.
        difference: the largest difference of two decoded signals over the level of the first, in dB; None for none.
        encoder: whether the bitstreams differ, so that the encoder is at fault.
    """

    verdict: Verdict
    difference: float | None
    encoder: bool


def repeatability(first: Call, repeats: Sequence[Call]) -> Repeatability:
    """Compare calls for one recording.

    Args:
        first: the first call of a process.
        repeats: calls of another process: its first, one after it, one more, and one after another recording.
    """
    fresh, again, third, after = repeats
    largest = max((d for one in repeats if (d := difference(first, one)) is not None), default=None)
    encoder = any(one.digest != first.digest for one in repeats)
    if largest is None and not encoder:
        return Repeatability("same", None, False)
    if largest is None or largest < ROUNDING:
        return Repeatability("rounding", largest, encoder)
    if _equal(first, fresh):
        verdict: Verdict = "leak"
    elif not _equal(again, third):
        verdict = "random"
    else:
        verdict = "process" if _equal(fresh, again) and _equal(third, after) else "leak beyond the process"
    return Repeatability(verdict, largest, encoder)


def _equal(one: Call, other: Call) -> bool:
    level = difference(one, other)
    return level is None or level < ROUNDING


def difference(one: Call, other: Call) -> float | None:
    """Energy of the difference over that of the first decoded signal, in dB; None if they are equal."""
    if np.array_equal(one.decoded, other.decoded, equal_nan=True):
        return None
    length = max(one.decoded.shape[-1], other.decoded.shape[-1])
    x, y = (fit_length(call.decoded, length).astype(np.float64) for call in (one, other))
    energy, error = float(np.square(x).sum()), float(np.square(x - y).sum())
    return 10 * math.log10(error / energy) if energy > 0 and error > 0 and math.isfinite(error) else math.inf
