"""A recording with another sound mixed into it at a stated level, as the noisy speech of the EnCodec paper (4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.codec.audio import Audio, read, resample
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import local_copy


@dataclass(frozen=True)
class Added:
    """The sound that is mixed in.

    Args:
        start: seconds into the file from where it is taken; where it ends too soon it begins again.
        snr_db: energy of the recording over its own, dB, over all that is judged.
    """

    path: Path
    start: float
    snr_db: float


def mixed(samples: Audio, sample_rate: int, added: Added) -> Audio:
    """The sum of [channels, time] and of the sound, the same in all channels; softer as a whole where it would clip.

    Raises:
        UserError: the sound cannot be read, or one of both is silent, so that no level can be set.
    """
    with local_copy(added.path) as path:
        sound = read(path)
    first = round(added.start * sound.sample_rate)
    mono = resample(sound.samples[:, first:].mean(axis=0, keepdims=True), sound.sample_rate, sample_rate)
    if mono.shape[1] == 0 or not mono.any() or not samples.any():
        raise UserError(f"{added.path}: cannot be mixed in at {added.snr_db:g} dB: it or the recording is silent")
    length = samples.shape[1]
    noise = np.tile(mono[0], -(-length // mono.shape[1]))[:length]
    signal_power = np.square(samples, dtype=np.float64).mean()
    noise_power = np.square(noise, dtype=np.float64).mean()
    if noise_power == 0:
        raise UserError(f"{added.path}: cannot be mixed in at {added.snr_db:g} dB: silent where it is taken from")
    total = samples + np.sqrt(signal_power / noise_power * 10 ** (-added.snr_db / 10)) * noise
    return (total / max(1.0, float(np.abs(total).max()))).astype(np.float32)
