"""Mixing another recording into a recording at a given level, as for the noisy speech of the EnCodec paper (4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.codec.audio import Audio, read, resample
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import local_copy


@dataclass(frozen=True)
class Added:
    """The recording that is mixed in.

    Args:
        start: offset into its file in seconds; it is repeated if it is too short.
        snr_db: energy of the main recording over that of this one in dB, over the scored part.
    """

    path: Path
    start: float
    snr_db: float


def mixed(samples: Audio, sample_rate: int, added: Added, lead: int = 0) -> Audio:
    """Add a recording, averaged to mono, to all channels of [channels, time]; scales the sum down if it would clip.

    Args:
        lead: samples before the scored part, which do not count for the ratio.

    Raises:
        UserError: it cannot be read, or one of both is silent, so that no level can be set.
    """
    with local_copy(added.path) as path:
        other = read(path)
    first = round(added.start * other.sample_rate)
    mono = resample(other.samples[:, first:].mean(axis=0, keepdims=True), other.sample_rate, sample_rate)
    if mono.shape[1] == 0 or not mono.any() or not samples.any():
        raise UserError(f"{added.path}: cannot be mixed in at {added.snr_db:g} dB: it or the recording is silent")
    length = samples.shape[1]
    noise = np.take(mono[0], np.arange(-lead, length - lead), mode="wrap")  # repeated if it is too short
    signal_power = np.square(samples[:, lead:], dtype=np.float64).mean()
    noise_power = np.square(noise[lead:], dtype=np.float64).mean()
    if noise_power == 0 or signal_power == 0:
        raise UserError(f"{added.path}: cannot be mixed in at {added.snr_db:g} dB: one of both is silent in this part")
    total = samples + np.sqrt(signal_power / noise_power * 10 ** (-added.snr_db / 10)) * noise
    return (total / max(1.0, float(np.abs(total).max()))).astype(np.float32)
