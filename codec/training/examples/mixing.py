"""The four strategies that mix one, two or three recordings into a training example (EnCodec paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from earmark.codec.audio import Audio
from earmark.codec.datasets.manifest import CATEGORIES, Category
from earmark.codec.training.examples.excerpts import Excerpts
from earmark.codec.training.examples.reverb import Rooms, reverberate

MOST_DRAWS = 100  # until a mix does not clip; with the paper's gains, two or three draws are usually enough

MUSIC: frozenset[Category] = frozenset({"music"})
OTHERS: frozenset[Category] = frozenset({"speech", "sound"})
SPEECH: frozenset[Category] = frozenset({"speech"})
NOISE: frozenset[Category] = frozenset({"sound", "music"})


@dataclass(frozen=True)
class Strategy:
    """Number and categories of the sources, and whether the mix may be reverberated."""

    name: str
    sources: int
    categories: frozenset[Category]
    reverberant: bool = True


STRATEGIES = (
    Strategy("single_music", 1, MUSIC, reverberant=False),
    Strategy("single_other", 1, OTHERS),
    Strategy("mix_two", 2, MUSIC | OTHERS),
    Strategy("mix_three_without_music", 3, OTHERS),
)


# Settings of a recipe for data of one kind: single recordings of one category, or the paper's mixture.
MIXES: Mapping[str, tuple[str, ...]] = {
    **{
        category: (
            f'data.categories=["{category}"]',
            f"data.single_music={float(category == 'music')}",
            f"data.single_other={float(category != 'music')}",
            "data.mix_two=0.0",
            "data.mix_three_without_music=0.0",
        )
        for category in CATEGORIES
    },
    "paper": (
        'data.categories=["speech", "music", "sound"]', "data.single_music=0.32", "data.single_other=0.32",
        "data.mix_two=0.24", "data.mix_three_without_music=0.12",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Mixing:
    """Settings of the mixing, with the paper's values.

    Args:
        single_music, single_other, mix_two, mix_three_without_music: probability of each strategy.
        gain_db: range of each source's gain, drawn uniformly in dB.
        reverb: probability of reverberation; single music is never reverberated.
        denoise: probability of speech in noise with its clean speech, in place of the strategies.
    """

    single_music: float = 0.32
    single_other: float = 0.32
    mix_two: float = 0.24
    mix_three_without_music: float = 0.12
    gain_db: tuple[float, float] = (-10.0, 6.0)
    reverb: float = 0.2
    denoise: float = 0.0

    def probability(self, strategy: Strategy) -> float:
        """The probability of a strategy."""
        value: float = getattr(self, strategy.name)
        return value


def mix(rng: np.random.Generator, excerpts: Excerpts, rooms: Rooms, mixing: Mixing, channels: int) -> Audio:
    """Make one example, [channels, samples], within full scale.

    A mix that clips is replaced by one of other recordings and gains, with the same strategy and room.
    """
    chances = [mixing.probability(strategy) for strategy in STRATEGIES]
    strategy = STRATEGIES[rng.choice(len(STRATEGIES), p=chances)]
    response = None
    if strategy.reverberant and rng.random() < mixing.reverb:
        response = rooms.draw(rng, channels)
    lead = 0 if response is None else response.shape[-1] - 1
    for _ in range(MOST_DRAWS):
        mixed = _apply_gain(rng, excerpts.draw(rng, strategy.categories, lead), mixing)
        for _ in range(strategy.sources - 1):
            mixed += _apply_gain(rng, excerpts.draw(rng, strategy.categories, lead), mixing)
        if response is not None:
            mixed = reverberate(mixed, response)
        peak = np.abs(mixed).max()
        if peak < 1:
            return mixed
    return mixed * np.float32(0.999 / peak)  # only if the recordings are near full scale throughout


def with_clean(rng: np.random.Generator, excerpts: Excerpts, rooms: Rooms, mixing: Mixing, channels: int) -> Audio:
    """Make one example for denoising (SoundStream, section III-F): the input, then its target on as many channels.

    With the probability `mixing.denoise`, the input is speech in noise (sound or music) and the target the speech in
    it, both in the same room. Otherwise the target is the input, so that clean audio stays as it is.

    Returns:
        [2 channels, samples], within full scale.
    """
    if rng.random() >= mixing.denoise:
        plain = mix(rng, excerpts, rooms, mixing, channels)
        return np.concatenate([plain, plain])
    response = rooms.draw(rng, channels) if rng.random() < mixing.reverb else None
    lead = 0 if response is None else response.shape[-1] - 1
    clean = _apply_gain(rng, excerpts.draw(rng, SPEECH, lead), mixing)
    noise = _apply_gain(rng, excerpts.draw(rng, NOISE, lead), mixing)
    if response is not None:
        clean, noise = reverberate(clean, response), reverberate(noise, response)
    pair = np.concatenate([clean + noise, clean])
    peak = np.abs(pair).max()
    return pair if peak < 1 else pair * np.float32(0.999 / peak)


def _apply_gain(rng: np.random.Generator, source: Audio, mixing: Mixing) -> Audio:
    return source * np.float32(10 ** (rng.uniform(*mixing.gain_db) / 20))
