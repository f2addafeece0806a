"""Audio as it is sent: dithered anew at each delivery, so that no two responses are equal.

A study's hidden reference is the same file as its open reference. Sent as it is, a script would find it by comparing
bytes. Each delivery therefore adds noise of one step of the last bit to one sample in eight, independently. Its power
is 1/8 of a squared step, less than the 2/12 of triangular dither (two uniform distributions of one step), which 16-bit
audio usually has. Length, format and header are the same for all stimuli of an item. Whoever subtracts two signals
still finds the reference, as in every test that runs on the listener's machine; timing.py finds scripts.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

# Sample type of the file -> sample type sent, and bits below its last one in samples of 32 bits. A browser decodes to
# floats of 24 bits, so that more bits would be lost there.
SENT = {"PCM_24": ("PCM_24", 8), "PCM_32": ("PCM_24", 8)}
DEFAULT = ("PCM_16", 16)
STEPS = np.repeat(np.array([-1, 0, 1], np.int64), [16, 224, 16])  # one of 256 equally probable bytes chooses a step


def delivery(source: Path | BytesIO) -> bytes:
    """A WAV file with the samples of an uncompressed file and new dither at the last bit.

    Args:
        source: path, or the bytes of the file.
    """
    with soundfile.SoundFile(source) as file:
        samples = file.read(dtype="int32", always_2d=True)
        rate = file.samplerate
        subtype, below = SENT.get(file.subtype, DEFAULT)
    sent = BytesIO()
    soundfile.write(sent, _dithered(samples, below), rate, format="WAV", subtype=subtype)
    return sent.getvalue()


def _dithered(samples: NDArray[np.int32], below: int) -> NDArray[np.int32]:
    """Samples [time, channels], left-justified in 32 bits, with steps of `2**below` added and everything below cut."""
    choice = np.frombuffer(np.random.default_rng().bytes(samples.size), np.uint8).reshape(samples.shape)
    highest = (1 << (31 - below)) - 1
    stepped = np.clip((samples.astype(np.int64) >> below) + STEPS[choice], -highest - 1, highest)
    return (stepped << below).astype(np.int32)
