"""One length for all conditions of an item: small differences are fitted, larger ones only on request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import fit_length
from earmark.codec.text import counted

Fit = Literal["small", "pad", "cut", "none"]
FITS = ("pad", "cut", "none")  # values of --fit; without it: small
SMALL = 0.100  # seconds; encoders and decoders add or lose this much by padding to whole frames
FADE = 0.010  # seconds; before a padded or cut end, which would click otherwise
REMEDY = "cut or pad it, or choose --fit pad or --fit cut"

Lengths = Mapping[str, tuple[int, int]]  # condition -> samples and sample rate


def misfits(lengths: Lengths, reference: str | None, fit: Fit) -> dict[str, float]:
    """Conditions of an item whose length cannot be accepted, with their difference from the reference in seconds.

    Args:
        reference: condition whose length the others should have; if it is missing, the median length counts.
        fit: "pad" and "cut" accept every length, "small" up to 100 ms more or less, "none" one sample where the rates
            differ, because of rounding.
    """
    if fit in ("pad", "cut") or not lengths:
        return {}
    seconds = {name: samples / rate for name, (samples, rate) in lengths.items()}
    expected = seconds[reference] if reference in seconds else sorted(seconds.values())[(len(seconds) - 1) // 2]
    rates = {rate for _, rate in lengths.values()}
    rounding = 1 / min(rates) if len(rates) > 1 else 0.0
    most = (SMALL if fit == "small" else rounding) + 1e-9
    return {name: one - expected for name, one in seconds.items() if abs(one - expected) > most}


@dataclass
class Fitting:
    """Fits the signals of items to one length and counts what it did, for notes."""

    fit: Fit
    fitted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def apply(
        self, signals: Mapping[str, NDArray[np.float32]], reference: str, sample_rate: int
    ) -> dict[str, NDArray[np.float32]]:
        """Give the signals of an item one length, that of the reference, the longest or the shortest one.

        Args:
            signals: condition -> [channels, time], all at `sample_rate` Hz.
        """
        lengths = {name: signal.shape[1] for name, signal in signals.items()}
        wanted = {"pad": max, "cut": min}.get(self.fit, lambda _: lengths[reference])(lengths.values())
        for name, length in lengths.items():
            if abs(length - wanted) > 1:  # one sample is rounding
                self.fitted[name].append((wanted - length) / sample_rate)
        return {name: _with_length(signal, wanted, sample_rate) for name, signal in signals.items()}

    def notes(self) -> list[str]:
        """A sentence on each condition that was padded or cut."""
        notes = []
        for name, changes in self.fitted.items():
            for verb, some in (("padded", [c for c in changes if c > 0]), ("cut", [-c for c in changes if c < 0])):
                if some:
                    most = f"{1000 * max(some):.1f} ms" if max(some) < 1 else f"{max(some):.2f} s"
                    notes.append(f"{name}: {counted(len(some), 'file')} {verb} at the end by up to {most}.")
        return notes


def _with_length(signal: NDArray[np.float32], length: int, sample_rate: int) -> NDArray[np.float32]:
    """Cut or pad a signal, with a fade-out before the new end if it changes by more than a sample."""
    if abs(signal.shape[1] - length) <= 1:
        return fit_length(signal, length)
    kept = signal[:, :length].copy()
    count = min(round(FADE * sample_rate), kept.shape[1])
    kept[:, kept.shape[1] - count :] *= (0.5 + 0.5 * np.cos(np.pi * np.arange(1, count + 1) / count)).astype(np.float32)
    return fit_length(kept, length)
