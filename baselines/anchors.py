"""The hidden reference and the low-pass anchors of MUSHRA (ITU-R BS.1534-3, section 5.1)."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.baselines.interface import Encoded, Family, System
from earmark.codec.audio import Audio
from earmark.codec.errors import UserError

STOP_BAND_DB = 60.0  # the mask requires 25 dB at 8/7 of the cut-off and 50 dB at 9/7


@functools.lru_cache(maxsize=32)
def low_pass(cutoff: float, sample_rate: int) -> NDArray[np.float64]:
    """Linear-phase low-pass, [taps] with an odd number of taps, flat to `cutoff` Hz.

    Kaiser window design. At 8/7 of the cut-off (4 kHz for 3.5 kHz) the attenuation is 60 dB; the mask of BS.1534-3
    requires 25 dB there and 50 dB at 4.5 kHz. The ripple is 0.01 dB; the mask allows 0.1 dB.
    """
    transition = cutoff / 7
    from scipy.signal import firwin, kaiserord  # takes a second to import, and most runs have no anchor

    taps, beta = kaiserord(STOP_BAND_DB, transition / (sample_rate / 2))
    coefficients: NDArray[np.float64] = firwin(
        taps | 1, cutoff + transition / 2, window=("kaiser", beta), fs=sample_rate
    )
    return coefficients


@dataclass
class _Uncoded:
    """A condition without a bitstream: the payload is the signal itself, in float32."""

    name: str
    sample_rate: int
    channels: int
    cutoff: float | None

    def encode(self, audio: Audio) -> Encoded:
        return Encoded((np.ascontiguousarray(audio, dtype="<f4").tobytes(),), audio.shape[-1])

    def decode(self, encoded: Encoded) -> Audio:
        audio = np.frombuffer(encoded.packets[0], "<f4").reshape(self.channels, encoded.samples)
        if self.cutoff is None or self.cutoff * 15 / 14 >= self.sample_rate / 2:  # nothing above it to remove
            return audio.copy()
        from scipy.signal import oaconvolve

        return oaconvolve(audio, low_pass(self.cutoff, self.sample_rate)[None], mode="same", axes=-1).astype(np.float32)


class Reference(Family):
    """The source itself: the hidden reference of a listening test, and the best value of a metric."""

    name = "reference"
    title = "Hidden reference"
    rates = "none"
    example = "reference"
    sample_rates = "any"
    licence = "-"
    coded = False

    def unavailable(self, system: System | None = None) -> str | None:
        return None

    def version(self, system: System | None = None) -> str:
        return "1"

    def check(self, system: System) -> None:
        if system.rate is not None:
            raise UserError(f"{system.text}: the reference has no bit rate; write reference")

    def kbps(self, system: System) -> float | None:
        return None

    def open(self, system: System, sample_rate: int, channels: int) -> _Uncoded:
        return _Uncoded(system.text, sample_rate, channels, None)


class Anchor(Reference):
    """The source through a linear-phase low-pass: anchor@3.5k is the low anchor of MUSHRA, anchor@7k the mid anchor."""

    name = "anchor"
    title = "Low-pass anchor"
    rates = "cut-off 1k to 20k, as 3.5k or 7k"
    example = "anchor@3.5k"

    def check(self, system: System) -> None:
        if not 1000 <= self.cutoff(system) <= 20000:
            raise UserError(f"{system.text}: the cut-off of an anchor is 1k to 20k; try anchor@3.5k or anchor@7k")

    def cutoff(self, system: System) -> float:
        """Cut-off in Hz."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)k", system.rate or "")
        if match is None:
            raise UserError(f"{system.text}: an anchor needs its cut-off in kHz with a k; try anchor@3.5k or anchor@7k")
        return float(match[1]) * 1000

    def open(self, system: System, sample_rate: int, channels: int) -> _Uncoded:
        return _Uncoded(system.text, sample_rate, channels, self.cutoff(system))
