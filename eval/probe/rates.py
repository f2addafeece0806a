"""Bit rate and speed of a codec, as measured by the test signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from earmark.eval.probe import signals
from earmark.eval.probe.session import Passage

MOST_OFF = 0.05  # part of the nominal bit rate by which the measured one may differ
HEADER_SHARE = 0.02  # of the bits of a 2 s file from which those that do not grow with its length are mentioned


@dataclass(frozen=True)
class BitRate:
    """Bit rates in kbps.

    Args:
        by_signal: payload over duration, per test signal.
        growth: bits that a longer noise takes beyond a shorter one, over the seconds that it is longer.
        fixed: bits per file that do not depend on its length, by these two noises; None, as `growth`, for codecs that
            give packets, without a header.
    """

    by_signal: Mapping[str, float]
    growth: float | None
    fixed: float | None

    @property
    def has_header(self) -> bool:
        """Whether a notable part of the bits does not depend on the length."""
        whole = self.by_signal.get("noise", 0.0) * 1000 * signals.SECONDS
        return self.fixed is not None and self.fixed > HEADER_SHARE * whole

    def is_off(self, kbps: float) -> bool:
        """Whether speech and noise both differ from a nominal bit rate: one of them may be easy to code."""
        rates = [self.by_signal[name] for name in ("speech", "noise", "long noise") if name in self.by_signal]
        return bool(rates) and all(abs(rate - kbps) > MOST_OFF * kbps for rate in rates)


def bit_rate(passages: Mapping[str, Passage], sample_rate: int) -> BitRate:
    """Measure the payload of the test signals."""
    known = {name: one for name, one in passages.items() if one.call is not None}
    seconds = {name: one.source.shape[-1] / sample_rate for name, one in known.items()}
    bits = {name: one.call.bits for name, one in known.items() if one.call is not None}
    by_signal = {name: bits[name] / seconds[name] / 1000 for name in known}
    files = all(one.call is not None and one.call.packets == 1 for one in known.values())
    if not files or not {"noise", "long noise"} <= known.keys():
        return BitRate(by_signal, None, None)
    growth = (bits["long noise"] - bits["noise"]) / (seconds["long noise"] - seconds["noise"])
    fixed = bits["noise"] - growth * seconds["noise"]
    return BitRate(by_signal, growth / 1000, fixed)


def speeds(passages: Iterable[Passage], sample_rate: int) -> tuple[float, float] | None:
    """Median real-time factors of encoder and decoder: duration over time, higher is faster; None if not measured."""
    factors = [
        (one.source.shape[-1] / sample_rate / one.call.encode_seconds,
         one.source.shape[-1] / sample_rate / one.call.decode_seconds)
        for one in passages
        if one.call is not None and one.call.encode_seconds and one.call.decode_seconds
    ]  # fmt: skip
    if not factors:
        return None
    encode, decode = np.median(np.array(factors), axis=0)
    return float(encode), float(decode)
