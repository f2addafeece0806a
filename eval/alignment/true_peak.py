"""True peak (ITU-R BS.1770-5, annex 2) and samples beyond full scale."""

from __future__ import annotations

import math

import numpy as np

from earmark.codec.audio import Audio
from earmark.eval.alignment.blocks import blocks
from earmark.eval.alignment.shift import placed

# Interpolation filter of annex 2: the taps of the first two of four phases; the others are these in reverse order.
_PHASES = (
    (0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
     0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
    (-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
     0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
)  # fmt: skip
NEAR = 0.4  # only beside samples above this part of the sample peak can a higher peak lie


def true_peak_db(audio: Audio) -> float | None:
    """True peak of [channels, time] in dBTP, by four-times interpolation; None for silence.

    The peak of the samples counts, too, since the filter of the recommendation attenuates a little.
    """
    highest = max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))
    least = NEAR * highest
    filters = np.array([*_PHASES, *(phase[::-1] for phase in reversed(_PHASES))], np.float32)
    taps = filters.shape[1]
    for part in blocks(audio.shape[-1] + taps):
        padded = placed(audio, part.start - taps, part.stop - part.start + taps - 1)
        for channel in padded:  # row n begins at sample n and is interpolated between its samples 5 and 6
            loud = np.abs(channel) > least
            count = len(channel) - taps + 1
            rows = np.flatnonzero(loud[taps // 2 - 1 :][:count] | loud[taps // 2 :][:count])
            views = np.lib.stride_tricks.sliding_window_view(channel, taps)
            if len(rows):
                highest = max(highest, float(np.abs(views[rows] @ filters.T).max()))
    return 20 * math.log10(highest) if highest > 0 else None


def beyond_full_scale(audio: Audio) -> int:
    """Number of samples whose magnitude exceeds 1."""
    return sum(int(np.count_nonzero(np.abs(audio[:, part]) > 1)) for part in blocks(audio.shape[-1]))
