"""Bandwidth, noise floor, limit of amplitude and lengths of what came back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from earmark.codec.audio import Audio
from earmark.eval.alignment import faults
from earmark.eval.alignment.shift import advanced

WINDOW = 1024
LOSS = 10.0  # dB below the middle of the response at which the bandwidth ends
NEAR = 3  # bins on each side of the sweep's frequency that count as the sweep
SMOOTH = 5  # points


def sweep_response(source: Audio, decoded: Audio, delay: float) -> NDArray[np.float64]:
    """Level of a sweep after decoding over that before, at the frequency that it has at each moment.

    Args:
        source: a linear sweep, [channels, time]; decoded: [channels, any time], `delay` samples late.

    Returns:
        Rows of (part of half the sample rate, dB), by rising frequency.
    """
    moved = advanced(decoded, delay, source.shape[-1])
    x, y = (np.abs(stft(audio[0], nperseg=WINDOW, noverlap=WINDOW * 3 // 4)[2]) ** 2 for audio in (source, moved))
    rows = []
    for frame in range(4, x.shape[1] - 4):
        peak = int(x[:, frame].argmax())
        near = slice(max(0, peak - NEAR), peak + NEAR + 1)
        ratio = y[near, frame].sum() / max(x[near, frame].sum(), 1e-30)
        rows.append((2 * peak / WINDOW, 10 * math.log10(max(ratio, 1e-12))))
    return np.array(rows)


def noise_response(source: Audio, decoded: Audio, delay: float) -> NDArray[np.float64]:
    """The same by the spectra of white noise."""
    moved = advanced(decoded, delay, source.shape[-1])
    spectra = [np.mean(np.abs(stft(audio[0], nperseg=WINDOW)[2][:, 2:-2]) ** 2, axis=-1) for audio in (source, moved)]
    ratio = np.maximum(spectra[1], 1e-30) / np.maximum(spectra[0], 1e-30)
    return np.column_stack([np.linspace(0, 1, len(ratio)), 10 * np.log10(np.maximum(ratio, 1e-12))])


def bandwidth(response: NDArray[np.float64], sample_rate: int) -> float | None:
    """Highest frequency in Hz within 10 dB of the median from 300 Hz to 3 kHz; None if nothing comes back there."""
    frequency, level = response[:, 0] * sample_rate / 2, response[:, 1]
    level = np.convolve(np.pad(level, SMOOTH // 2, mode="edge"), np.ones(SMOOTH) / SMOOTH, "valid")
    middle = level[(frequency > 300) & (frequency < min(3000, 0.4 * sample_rate))]
    if len(middle) == 0 or np.median(middle) < -60:
        return None
    within = np.flatnonzero(level >= np.median(middle) - LOSS)
    return float(frequency[within[-1]]) if len(within) else None


def level_db(audio: Audio) -> float | None:
    """Root mean square in dB of full scale; None for digital silence."""
    power = float(np.square(audio, dtype=np.float64).mean()) if audio.size else 0.0
    return 10 * math.log10(power) if power > 0 else None


@dataclass(frozen=True)
class Limit:
    """Amplitude at which a codec clips, and the test signal that shows it."""

    amplitude: float
    signal: str


def limit(passages: Mapping[str, tuple[Audio, Audio]]) -> Limit | None:
    """The amplitude at which signals of full scale come back flat; None if they do not.

    Args:
        passages: test signal -> source and decoded signal.
    """
    for name in ("noise at full scale", "speech at full scale"):
        if name not in passages:
            continue
        source, decoded = passages[name]
        if not np.isfinite(decoded).all() or not decoded.any():
            continue
        marks = [mark.name for mark in faults.level_marks(source, decoded, None)]
        if "clipped" in marks:
            return Limit(float(np.abs(decoded).max()), name)
    return None


def highest(passages: Mapping[str, tuple[Audio, Audio]]) -> float:
    """Highest magnitude of all samples that came back."""
    return max((float(np.abs(decoded).max()) for _, decoded in passages.values() if decoded.size), default=0.0)


def not_finite(passages: Mapping[str, tuple[Audio, Audio]]) -> list[str]:
    """Test signals for which NaN or infinite samples came back."""
    return [name for name, (_, decoded) in passages.items() if not np.isfinite(decoded).all()]


def length_differences(passages: Mapping[str, tuple[Audio, Audio]]) -> dict[str, int]:
    """Test signal -> samples that came back beyond the length of the source, negative if some are missing."""
    return {name: decoded.shape[-1] - source.shape[-1] for name, (source, decoded) in passages.items()}
