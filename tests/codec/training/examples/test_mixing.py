"""The four mixing strategies, observed in the spectra of mixed tones of known frequency and amplitude."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from earmark.codec.datasets.manifest import Category, Entry, to_json
from earmark.codec.training.examples.excerpts import Excerpts
from earmark.codec.training.examples.mixing import Mixing, mix
from earmark.codec.training.examples.reverb import SimulatedRooms
from earmark.codec.training.examples.shards import Shards

RATE = 12000
SAMPLES = 1200  # an example; its spectrum has a line every 10 Hz
AMPLITUDE = 0.05  # three tones at +6 dB stay below full scale
TONES: dict[Category, range] = {
    "music": range(100, 1100, 50),
    "speech": range(2000, 3000, 50),
    "sound": range(4000, 5000, 50),
}


def tones(folder: Path, amplitude: float = AMPLITUDE) -> Shards:
    """Shards of 20 tones per category, 2 s each, not normalised."""
    folder.mkdir()
    (folder / "format.json").write_text(
        json.dumps({"format": "earmark.shards", "version": 1, "sample_rate": RATE, "channels": 1})
    )
    time = np.arange(2 * RATE) / RATE
    waves, lines = [], []
    for category, frequencies in TONES.items():
        for frequency in frequencies:
            entry = Entry(f"{frequency}.wav", "tones", category, "train", None, "", 2.0, RATE, 1, str(frequency))
            lines.append(json.dumps({"entry": to_json(entry), "parts": [[0, len(waves) * len(time), len(time)]]}))
            waves.append(np.rint(32767 * amplitude * np.sin(2 * np.pi * frequency * time)))
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")
    np.concatenate(waves).astype("<i2").tofile(folder / "shard-0000.pcm")
    return Shards(folder)


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory: pytest.TempPathFactory) -> Excerpts:
    return Excerpts([tones(tmp_path_factory.mktemp("tones") / "shards")], "train", SAMPLES)


class Hall:
    """A room that halves every sample, and counts its uses."""

    def __init__(self) -> None:
        self.visits = 0

    def draw(self, rng: np.random.Generator, channels: int) -> np.ndarray:
        self.visits += 1
        return np.full((channels, 1), 0.5, np.float32)


def heard(example: np.ndarray) -> dict[int, float]:
    """Amplitudes of the tones in an example, by frequency."""
    lines = 2 * np.abs(np.fft.rfft(example[0])) / SAMPLES
    return {10 * int(line): float(lines[line]) for line in np.flatnonzero(lines > AMPLITUDE / 10)}


def categories_of(frequencies: dict[int, float]) -> set[str]:
    return {category for frequency in frequencies for category, tones in TONES.items() if frequency in tones}


def examples(excerpts: Excerpts, count: int, **settings: object) -> list[dict[int, float]]:
    """Tones of `count` examples without reverberation."""
    mixing = Mixing(**{"reverb": 0.0, **settings})  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    return [heard(mix(rng, excerpts, SimulatedRooms(RATE), mixing, channels=1)) for _ in range(count)]


ONLY = {"single_music": 0.0, "single_other": 0.0, "mix_two": 0.0, "mix_three_without_music": 0.0}


def test_strategies_have_the_probabilities_of_the_paper(excerpts):
    """Of 1000 examples, s1 0.32, s2 0.32, s3 0.24 and s4 0.12 within 4 standard deviations.

    One tone may stand for two of the same recording: of s3, where one in 60 pairs is such, of s4 one in 13.
    """
    count = Counter()
    for tones_heard in examples(excerpts, 1000):
        categories = categories_of(tones_heard)
        if len(tones_heard) == 1:
            count["music" if categories == {"music"} else "other"] += 1
        else:
            count[len(tones_heard)] += 1
    two = 0.24 * 59 / 60 + 0.12 * 3 * 39 / 40**2
    three = 0.12 * 39 / 40 * 38 / 40
    music = 0.32 + 0.24 / 60 / 3
    other = 1 - two - three - music
    for what, share in [("music", music), ("other", other), (2, two), (3, three)]:
        assert abs(count[what] - 1000 * share) < 4 * (1000 * share * (1 - share)) ** 0.5, what


@pytest.mark.parametrize(
    ("strategy", "sources", "categories"),
    [
        ("single_music", 1, {"music"}),
        ("single_other", 1, {"speech", "sound"}),
        ("mix_two", 2, {"music", "speech", "sound"}),
        ("mix_three_without_music", 3, {"speech", "sound"}),
    ],
)
def test_each_strategy_mixes_its_number_of_sources_of_its_categories(excerpts, strategy, sources, categories):
    mixes = examples(excerpts, 60, **{**ONLY, strategy: 1.0})
    assert max(map(len, mixes)) == sources
    assert set().union(*map(categories_of, mixes)) == categories


def test_gains_are_uniform_in_decibels(excerpts):
    """Between -10 and +6 dB: mean -2, standard deviation 16 / sqrt(12) = 4.6; 400 of them, 4 standard errors."""
    mixes = examples(excerpts, 400, **{**ONLY, "single_music": 1.0})
    gains = 20 * np.log10([amplitude / AMPLITUDE for tones_heard in mixes for amplitude in tones_heard.values()])
    assert -10.01 < gains.min() < -9.5
    assert 5.5 < gains.max() < 6.01
    assert gains.mean() == pytest.approx(-2, abs=4 * 4.62 / 400**0.5)
    assert gains.std() == pytest.approx(4.62, rel=0.1)


def test_sources_of_a_mix_have_independent_gains(excerpts):
    pairs = [list(m.values()) for m in examples(excerpts, 60, **{**ONLY, "mix_two": 1.0}) if len(m) == 2]
    ratios = [abs(np.log10(first / second)) for first, second in pairs]
    assert np.median(ratios) > 0.1


def test_a_mix_that_clips_is_drawn_again_and_not_limited(tmp_path):
    """Tones at full scale clip at gains above 0 dB. The remaining gains are uniform in [-10, 0] dB, with mean -5."""
    full = Excerpts([tones(tmp_path / "full", amplitude=1.0)], "train", SAMPLES)
    rng = np.random.default_rng(0)
    mixing = Mixing(**{**ONLY, "single_other": 1.0}, reverb=0.0)
    mixes = [mix(rng, full, SimulatedRooms(RATE), mixing, channels=1) for _ in range(300)]
    assert max(np.abs(example).max() for example in mixes) < 1
    gains = 20 * np.log10([max(heard(example).values()) for example in mixes])
    assert gains.mean() == pytest.approx(-5, abs=4 * 10 / 12**0.5 / 300**0.5)
    assert (gains > -0.01).mean() < 0.02  # limiting would give three in eight


def test_recordings_that_always_clip_still_give_an_example(tmp_path):
    full = Excerpts([tones(tmp_path / "full", amplitude=1.0)], "train", SAMPLES)
    mixing = Mixing(**{**ONLY, "single_other": 1.0}, gain_db=(6.0, 6.0), reverb=0.0)
    example = mix(np.random.default_rng(0), full, SimulatedRooms(RATE), mixing, channels=1)
    assert 0.99 < np.abs(example).max() < 1


@pytest.mark.parametrize("strategy", ["single_other", "mix_two", "mix_three_without_music"])
def test_one_mix_in_five_is_reverberated(excerpts, strategy):
    """100 of 500, within 4 standard deviations sqrt(500 0.2 0.8) = 8.9."""
    hall, rng = Hall(), np.random.default_rng(0)
    for _ in range(500):
        mix(rng, excerpts, hall, Mixing(**{**ONLY, strategy: 1.0}), channels=1)
    assert abs(hall.visits - 100) < 36


def test_single_music_is_never_reverberated(excerpts):
    hall, rng = Hall(), np.random.default_rng(0)
    for _ in range(50):
        mix(rng, excerpts, hall, Mixing(**{**ONLY, "single_music": 1.0}, reverb=1.0), channels=1)
    assert hall.visits == 0


def test_reverberation_changes_the_example(excerpts):
    mixing = Mixing(**{**ONLY, "single_other": 1.0}, gain_db=(0.0, 0.0), reverb=1.0)
    example = mix(np.random.default_rng(0), excerpts, Hall(), mixing, channels=1)
    assert list(heard(example).values()) == pytest.approx([AMPLITUDE / 2], rel=1e-2)


def test_a_long_response_does_not_change_the_length(excerpts):
    mixing = Mixing(**{**ONLY, "mix_two": 1.0}, reverb=1.0)
    example = mix(np.random.default_rng(0), excerpts, SimulatedRooms(RATE), mixing, channels=1)
    assert example.shape == (1, SAMPLES)
    assert example.dtype == np.float32
