"""Spectrograms of a source, of its decoded version and of their difference, as small PNG images."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from earmark.codec.audio import Audio

Levels = NDArray[np.float32]  # dB, [ROWS, COLUMNS], the lowest band first

ROWS, COLUMNS = 96, 320
WINDOW = 0.032  # seconds
RANGE_DB = 80.0  # below the source's highest level
MOST_DIFFERENCE_DB = 30.0
COLOURS = 48  # in a palette; more would make the files larger and the pictures no clearer
# Palettes of matplotlib, from low to high, as hexadecimal RGB: matplotlib itself takes long to import.
MAGMA = (
    "00000301010b0404150a07220f0b2c160e3a1c10462511552d1060370f6c400f7348107852127c5a157e63197f6b1c807420817c2381"
    "8526818d2980952c809f2f7ea7317db1357ab93778c33b74cb3e71d4436ddc4869e24d65ea5560ee5d5df3675bf6705bf97b5dfb8460"
    "fc9064fd9969fda26ffeae76feb77dfec286fecb8efdd698fddfa1fceaacfcf3b5fbfcbf"
)
RED_BLUE = (
    "0530610a3a6f0f457e1651901c5c9e2368ad2971b1317cb73884bb408fc14c98c65ba2cb6eaed17db8d790c4dd9dcae1abd2e5b8d8e8"
    "c7dfedd2e5f0d9e9f1e2edf3eaf1f4f3f5f6f7f4f2f9ede7fae8ddfbe1d2fcdcc8fbd2bcf9c5abf7bb9ef5ae8ef3a380ec9374e6856a"
    "df755dd96853d35a4aca4942c33b3bbb2a33b41c2da41328960f2684092375042167001f"
)  # RdBu_r


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
    return _png((shown - highest) / RANGE_DB + 1, MAGMA)


def difference(source: Levels, decoded: Levels, highest: float) -> str:
    """PNG in base64: blue where `decoded` has a lower level than `source`, red where it has a higher, up to 30 dB.

    Levels more than RANGE_DB below `highest`, which are inaudible, are raised to that floor first.
    """
    floor = highest - RANGE_DB
    more = np.maximum(decoded, floor) - np.maximum(source, floor)
    return _png(0.5 + 0.5 * more / MOST_DIFFERENCE_DB, RED_BLUE)


def _png(values: NDArray[np.floating], palette: str) -> str:
    """PNG in base64 of values from 0 to 1, the first row at the bottom."""
    steps = np.clip(np.rint(values * (COLOURS - 1)), 0, COLOURS - 1).astype(np.uint8)
    image = Image.fromarray(steps[::-1])
    image.putpalette(bytes.fromhex(palette))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
