"""The tones of an attention check: their number names the band of the scale that the slider is to be set to.

The instruction is heard and not written, so that a script cannot read it from the page. One tone stands for the worst
band, five for the best.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 48000
BANDS = 5
TONE, GAP, PAUSE, RAMP = 0.25, 0.25, 2.0, 0.02  # seconds
FREQUENCY = 880.0  # Hz
LEVEL = 10 ** (-26 / 20)  # RMS relative to full scale, as in headphone_check.py


def tone_count(band: int) -> int:
    """Number of tones for a band, 0 being the best."""
    return BANDS - band


@lru_cache(maxsize=BANDS)
def wav(band: int) -> bytes:
    """The tones as a mono 16-bit WAV file with a pause at its end. The files of all bands are equally long."""
    file = BytesIO()
    soundfile.write(file, _signal(band), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _signal(band: int) -> NDArray[np.float64]:
    time = np.arange(round(TONE * RATE)) / RATE
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(time, TONE - time) / RAMP, 1))
    tone = np.sqrt(2) * LEVEL * ramp * np.sin(2 * np.pi * FREQUENCY * time)
    signal = np.zeros(round((BANDS * (TONE + GAP) + PAUSE) * RATE))
    for number in range(tone_count(band)):
        start = round(number * (TONE + GAP) * RATE)
        signal[start : start + tone.size] = tone
    return signal
