"""Faults of a decoded signal besides its delay: level, offset, clipping, drop-outs, and mixed-up channels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from earmark.codec.audio import Audio
from earmark.eval.alignment.blocks import blocks, level, levels, means
from earmark.eval.alignment.result import Mark

FRAME, FRAMES_AT_ONCE = 2048, 64  # samples of the spectra from which the gain is measured, and spectra in memory
MOST_GROUPS = 8  # of so many spectra, evenly spread over long signals: 20 s or more
NOTABLE_GAIN = 3.0  # dB
SPREAD = 10.0  # dB
BAND_RANGE = 40.0  # dB below the strongest band of the source that count
OFFSET = 0.003  # of full scale, and of the level of the decoded signal, that a mean may differ without a mark
OFFSET_SHARE = 0.05
STEP, NEAR_ZERO = 2.0**-17, 2.0**-10  # difference of equal samples; amplitude of silence, which is flat, too
FEWEST_LIMITED = 20  # samples
DROPOUT = 0.020  # seconds of silence
SILENT = 2.0**-20  # amplitude, below any dither
ACTIVE = 10**-2.0  # level over that of the whole source (40 dB) from which silence in the decoded signal is a fault


@dataclass(frozen=True)
class Gain:
    """Level of a decoded signal over that of its source, in third-octave bands, in dB.

    Args:
        median: over the bands in which the source is at most 40 dB below its strongest band; a reduced bandwidth does
            not affect it.
        low, high: tenth and ninetieth percentiles over these bands.
    """

    median: float
    low: float
    high: float

    @property
    def is_changed(self) -> bool:
        """Whether all bands are louder, or all are softer, by a similar gain: codecs lose energy in some bands only."""
        return (self.low > NOTABLE_GAIN or self.high < -NOTABLE_GAIN) and self.high - self.low < SPREAD


def gain(source: Audio, decoded: Audio, sample_rate: int) -> Gain | None:
    """Measure the gain of [channels, time] over [channels, time]; None if either signal is silent."""
    levels = [_band_energies(audio, sample_rate) for audio in (source, decoded)]
    if levels[0].max(initial=0.0) == 0 or levels[1].max(initial=0.0) == 0:
        return None
    counted = levels[0] > levels[0].max() * 10 ** (-BAND_RANGE / 10)
    ratios = 10 * np.log10(np.maximum(levels[1][counted], 1e-20) / levels[0][counted])
    return Gain(*(float(value) for value in np.percentile(ratios, [50, 10, 90])))


def _band_energies(audio: Audio, sample_rate: int) -> NDArray[np.float64]:
    frames = audio.shape[-1] // FRAME
    size = FRAME if frames else audio.shape[-1]
    window = np.hanning(size).astype(np.float32)
    power = np.zeros(size // 2 + 1)
    for channel in audio:
        groups = range(0, max(1, frames), FRAMES_AT_ONCE)
        for first in groups[:: max(1, len(groups) // MOST_GROUPS)]:
            part = channel[first * size : min(first + FRAMES_AT_ONCE, max(1, frames)) * size].reshape(-1, size)
            spectra = fft.rfft(part * window, axis=-1)
            power += (np.square(spectra.real) + np.square(spectra.imag)).sum(axis=0, dtype=np.float64)
    frequencies = np.arange(len(power)) * sample_rate / size
    edges = 88.4 * 2 ** (np.arange(0, 24) / 3)  # around the centres 100, 126, 158 Hz ...
    index = np.searchsorted(edges, frequencies)
    bands: NDArray[np.float64] = np.bincount(index, power, len(edges) + 1)[1:-1].astype(np.float64)
    return bands if bands.max(initial=0.0) > 0 else np.array([power.sum()])


def limited_samples(audio: Audio) -> int:
    """Samples at the maximum or the minimum of their channel."""
    return sum(
        int(np.count_nonzero((channel[part] >= high - STEP) | (channel[part] <= low + STEP)))
        for channel, low, high in zip(audio, audio.min(axis=-1), audio.max(axis=-1), strict=True)
        for part in blocks(audio.shape[-1])
    )


def flat_samples(audio: Audio) -> int:
    """Samples between two equal ones, except near the limits of their channel and near zero: a coarse quantiser's."""
    count = 0
    for channel, low, high in zip(audio, audio.min(axis=-1), audio.max(axis=-1), strict=True):
        for part in blocks(max(0, len(channel) - 2)):
            piece = channel[part.start : part.stop + 2]
            same = np.abs(np.diff(piece)) <= STEP
            values = piece[1:-1][same[:-1] & same[1:]]
            inside = (values < high - STEP) & (values > low + STEP)
            count += int(np.count_nonzero(inside & (np.abs(values) > NEAR_ZERO)))
    return count


def silent_runs(source: Audio, decoded: Audio, sample_rate: int) -> list[tuple[int, int]]:
    """Runs of samples, as (first, last + 1), in which the decoded signal is silent and the source is not.

    Args:
        source, decoded: [channels, time], aligned.
    """
    least = ACTIVE * level(source)
    return [
        (first, last)
        for first, last in _quiet_runs(decoded)
        if last - first >= DROPOUT * sample_rate and level(source[:, first:last]) > least
    ]


def _quiet_runs(audio: Audio) -> Iterator[tuple[int, int]]:
    """Runs of samples, as (first, last + 1), in which all channels are silent."""
    open_since: int | None = None
    for part in blocks(audio.shape[-1]):
        quiet: NDArray[np.bool_] = np.all(np.abs(audio[:, part]) <= SILENT, axis=0)
        if open_since is not None and not quiet[0]:
            yield open_since, part.start
            open_since = None
        edges = np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8))
        for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            first = open_since if start == 0 and open_since is not None else part.start + int(start)
            open_since = None
            if end == len(quiet):
                open_since = first
            else:
                yield first, part.start + int(end)
    if open_since is not None:
        yield open_since, audio.shape[-1]


def level_marks(source: Audio, decoded: Audio, loudness: Gain | None) -> Iterator[Mark]:
    """Marks on level, offset and clipping of two aligned signals."""
    if loudness is not None and loudness.is_changed:
        yield Mark("gain", f"{loudness.median:+.1f} dB")
    before, offsets = (means(audio).ravel() for audio in (source, decoded))
    offset = float(offsets[np.argmax(np.abs(offsets))])
    if abs(offset) - np.abs(before).max() > max(OFFSET, OFFSET_SHARE * level(decoded)):
        yield Mark("offset", f"{offset:+.3f} of full scale")
    limited = limited_samples(decoded)
    if limited > FEWEST_LIMITED and limited > max(3 * limited_samples(source), flat_samples(decoded)):
        yield Mark("clipped", f"{limited} samples")


def channel_marks(source: Audio, decoded: Audio, *, swapped: bool = False) -> Iterator[Mark]:
    """Marks on mixed-up channels of two aligned signals, [channels, time] each, with two channels or more.

    Args:
        swapped: whether the search already found the channels to be swapped.
    """
    if len(source) < 2:
        return
    levels_x, levels_y = levels(source), levels(decoded)
    for channel in np.flatnonzero((levels_y <= SILENT) & (levels_x > ACTIVE * levels_x.max())):
        if levels_y.max() > SILENT:
            yield Mark("channel lost", f"channel {channel + 1}")
    if len(source) != 2 or levels_x.min() <= SILENT or levels_y.min() <= SILENT:
        return
    if _side(decoded) < 1e-3 * levels_y.max() and _side(source) > 0.05 * levels_x.max():
        yield Mark("folded")
        return
    products, norms = _cross_products(source, decoded)
    matrix = products / np.maximum(norms, 1e-30)
    straight, crossed = np.abs([matrix[0, 0], matrix[1, 1]]), np.abs([matrix[0, 1], matrix[1, 0]])
    if swapped or (crossed.sum() > 1.1 * straight.sum() and crossed.min() > 0.3):
        yield Mark("swapped")
    elif matrix[0, 0] * matrix[1, 1] < 0 and straight.min() > 0.3:
        yield Mark("channel inverted", f"channel {1 + int(np.argmin(np.diag(matrix)))}")


def _side(audio: Audio) -> float:
    """Root mean square of the difference of two channels."""
    total = sum(
        float(np.square(audio[0, part] - audio[1, part], dtype=np.float64).sum()) for part in blocks(audio.shape[-1])
    )
    return math.sqrt(total / max(1, audio.shape[-1]))


def _cross_products(source: Audio, decoded: Audio) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inner products [source channel, decoded channel] without means, and the products of the channels' norms."""
    mean_x, mean_y = means(source), means(decoded)
    products, energy_x, energy_y = np.zeros((len(source), len(decoded))), np.zeros(len(source)), np.zeros(len(decoded))
    for part in blocks(source.shape[-1]):
        x, y = source[:, part] - mean_x, decoded[:, part] - mean_y
        products += x @ y.T
        energy_x += np.square(x).sum(axis=-1)
        energy_y += np.square(y).sum(axis=-1)
    return products, np.sqrt(np.outer(energy_x, energy_y))
