"""Spectrograms of a source, of its decoded version and of their difference, as small PNG images."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from earmark.codec.audio import Audio

Levels = NDArray[np.float32]  # dB, [ROWS, COLUMNS], the lowest band first

ROWS, COLUMNS = 96, 320
WINDOW = 0.032  # seconds
RANGE_DB = 80.0  # below the source's highest level
MOST_DIFFERENCE_DB = 30.0
COLOURS = 48  # in the palette; more would make the files larger and the pictures no clearer


def levels(samples: Audio, sample_rate: int) -> Levels:
    """Power in dB in bands of equal width up to half the sample rate, channels averaged."""
    window = max(2 * ROWS, round(WINDOW * sample_rate))
    mono = samples.mean(axis=0)
    mono = np.pad(mono, (0, max(0, window - mono.size)))
    starts = np.linspace(0, mono.size - window, COLUMNS).astype(int)
    frames = mono[starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))[:, 1:]
    edges = np.arange(ROWS) * power.shape[1] // ROWS
    bands = np.add.reduceat(power, edges, axis=1) / np.diff([*edges, power.shape[1]])
    return (10 * np.log10(np.maximum(bands, 1e-12))).T.astype(np.float32)


def picture(shown: Levels, highest: float) -> str:
    """PNG in base64: from black at `highest` - RANGE_DB dB to bright at `highest` dB."""
    return _png((shown - highest) / RANGE_DB + 1, "magma")


def difference(source: Levels, decoded: Levels, highest: float) -> str:
    """PNG in base64: blue where `decoded` has a lower level than `source`, red where it has a higher, up to 30 dB.

    Levels more than RANGE_DB below `highest`, which are inaudible, are raised to that floor first.
    """
    floor = highest - RANGE_DB
    more = np.maximum(decoded, floor) - np.maximum(source, floor)
    return _png(0.5 + 0.5 * more / MOST_DIFFERENCE_DB, "RdBu_r")


def _png(values: NDArray[np.floating], colours: str) -> str:
    """PNG in base64 of values from 0 to 1, the first row at the bottom."""
    steps = np.clip(np.rint(values * (COLOURS - 1)), 0, COLOURS - 1).astype(np.uint8)
    image = Image.fromarray(steps[::-1])
    palette = mpl.colormaps[colours](np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
