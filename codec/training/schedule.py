"""Learning rates: linear warm-up (Goyal et al. 2017, section 2.2), then constant or half a cosine down to 0.

The cosine is that of Loshchilov and Hutter (2017), equation 5, without restarts. A rate depends on the number of the
update alone, so a training that is resumed has nothing to restore, as it would with torch.optim.lr_scheduler.
"""

from __future__ import annotations

import math
from typing import Literal

Decay = Literal["constant", "cosine"]


def learning_rate(update: int, *, peak: float, rise: int, warmup: int, total: int, decay: Decay = "cosine") -> float:
    """Learning rate at an update.

    Args:
        update: number of the update, counted from 0.
        peak: highest rate.
        rise: updates over which the rate grows in equal steps; the last of them has the rate `peak`. A codec's training
            reaches it after its warm-up (rise = warmup + 1), a language model's at the end of it (rise = warmup).
        warmup: updates before the decay begins.
        total: updates of the whole training, after which a cosine has reached 0.
        decay: course after the warm-up.
    """
    rate = peak * min(1.0, (update + 1) / max(1, rise))
    if decay == "constant" or update < warmup:
        return rate
    done = (update - warmup) / max(1, total - warmup)
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
