"""The room in which a recording is placed: reverberant speech, as for the tests of the EnCodec paper (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.codec.audio import Audio, read, resample
from earmark.codec.errors import UserError
from earmark.codec.training.examples.reverb import reverberate, simulate, with_unit_energy


@dataclass(frozen=True)
class Room:
    """A simulated room, or one whose impulse response was measured.

    Args:
        seed: of the simulated response; one seed gives one room, at any sample rate only nearly the same.
        rt60: reverberation time of the simulated room in seconds.
        response: file of the measured impulse response; None for a simulated room.
        sha256: hash of this file.
    """

    seed: int = 0
    rt60: float = 0.0
    response: Path | None = None
    sha256: str | None = None

    @property
    def identity(self) -> list[float | str]:
        """The values that determine the response."""
        return [self.sha256] if self.sha256 is not None else [self.seed, self.rt60]

    def impulse_response(self, sample_rate: int, channels: int) -> Audio:
        """The response, [channels, time], from the direct sound on; its mean energy per channel is 1.

        Raises:
            UserError: the file of a measured response cannot be read, or is silent.
        """
        if self.response is None:
            return simulate(np.random.default_rng(self.seed), self.rt60, sample_rate, channels)
        recording = read(self.response, max_channels=64)
        samples = resample(recording.samples, recording.sample_rate, sample_rate)
        if not samples.any():
            raise UserError(f"{self.response}: silent; an impulse response is needed")
        repeated = np.tile(samples, (-(-channels // samples.shape[0]), 1))[:channels]
        return with_unit_energy(repeated[:, np.abs(repeated).max(axis=0).argmax() :])


def placed(samples: Audio, response: Audio) -> Audio:
    """Reverberate samples, [channels, length of the response - 1 + time]; scales the result down if it would clip.

    Returns:
        [channels, time]. The samples before are those that sound before the excerpt.
    """
    reverberant = reverberate(samples, response)
    return (reverberant / max(1.0, float(np.abs(reverberant).max()))).astype(np.float32)
