"""Mel filter bank: triangles on the mel scale 2595 log10(1 + f / 700) of O'Shaughnessy (1987), as in HTK."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mel_triangles(sample_rate: int, window: int, bands: int) -> NDArray[np.float64]:
    """Filters that sum the frequencies of an STFT into mel bands.

    The corners are equally spaced on the mel scale from 0 Hz to the Nyquist frequency. Each triangle rises from the
    centre of its lower neighbour to 1, and falls to the centre of its upper neighbour. The frequencies of a short
    window may be too far apart to fall into each of the lowest triangles; rows of triangles without any are zero.

    Args:
        sample_rate: in Hz.
        window: samples per transform of the STFT.
        bands: number of triangles.

    Returns:
        Weights, [bands, window / 2 + 1].
    """
    nyquist_mel = 2595 * np.log10(1 + sample_rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, nyquist_mel, bands + 2) / 2595) - 1)
    lower, centre, upper = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    frequencies = np.fft.rfftfreq(window, 1 / sample_rate)
    triangles = np.minimum((frequencies - lower) / (centre - lower), (upper - frequencies) / (upper - centre))
    return np.maximum(triangles, 0)
