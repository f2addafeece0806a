"""The four ways to make a training example of one, two or three recordings (EnCodec paper, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.codec.audio import Audio
from earmark.codec.datasets.manifest import Kind
from earmark.codec.training.examples.excerpts import Excerpts
from earmark.codec.training.examples.reverb import Rooms, reverberate

MOST_DRAWS = 100  # of a mix that clips; with the paper's gains one draw in two or three is enough

MUSIC: frozenset[Kind] = frozenset({"music"})
OTHERS: frozenset[Kind] = frozenset({"speech", "sound"})


@dataclass(frozen=True)
class Strategy:
    """How many sources, of which kinds, and whether a room may be put around them."""

    name: str
    sources: int
    kinds: frozenset[Kind]
    reverberant: bool = True


STRATEGIES = (
    Strategy("single_music", 1, MUSIC, reverberant=False),
    Strategy("single_other", 1, OTHERS),
    Strategy("mix_two", 2, MUSIC | OTHERS),
    Strategy("mix_three_without_music", 3, OTHERS),
)


@dataclass(frozen=True)
class Mixing:
    """The settings, with the paper's values.

    Args:
        single_music, single_other, mix_two, mix_three_without_music: probabilities of the strategies.
        gain_db: range of each source's gain, drawn uniformly in dB.
        reverb: probability that a mix is reverberated, unless it is music alone.
    """

    single_music: float = 0.32
    single_other: float = 0.32
    mix_two: float = 0.24
    mix_three_without_music: float = 0.12
    gain_db: tuple[float, float] = (-10.0, 6.0)
    reverb: float = 0.2

    def probability(self, strategy: Strategy) -> float:
        value: float = getattr(self, strategy.name)
        return value


def mix(rng: np.random.Generator, excerpts: Excerpts, rooms: Rooms, mixing: Mixing, channels: int) -> Audio:
    """One example, [channels, length], within full scale.

    A mix that clips is drawn again: other recordings and other gains, of the same strategy and in the same room.
    """
    chances = [mixing.probability(strategy) for strategy in STRATEGIES]
    strategy = STRATEGIES[rng.choice(len(STRATEGIES), p=chances)]
    response = None
    if strategy.reverberant and rng.random() < mixing.reverb:
        response = rooms.draw(rng, channels)
    lead = 0 if response is None else response.shape[-1] - 1
    for _ in range(MOST_DRAWS):
        mixed = _amplified(rng, excerpts.draw(rng, strategy.kinds, lead), mixing)
        for _ in range(strategy.sources - 1):
            mixed += _amplified(rng, excerpts.draw(rng, strategy.kinds, lead), mixing)
        if response is not None:
            mixed = reverberate(mixed, response)
        peak = np.abs(mixed).max()
        if peak < 1:
            return mixed
    return mixed * np.float32(0.999 / peak)  # recordings at full scale throughout


def _amplified(rng: np.random.Generator, source: Audio, mixing: Mixing) -> Audio:
    return source * np.float32(10 ** (rng.uniform(*mixing.gain_db) / 20))
