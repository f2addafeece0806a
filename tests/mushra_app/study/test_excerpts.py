"""Choice of excerpts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from earmark.mushra_app.study.excerpts import Excerpt, choose, cut

RATE = 1000


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, round(seconds * RATE))).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_excerpts_lie_inside_and_do_not_overlap():
    for seed in range(20):
        excerpts = sorted(cut("a.wav", noise(33), RATE, 5, rng(seed)), key=lambda excerpt: excerpt.start)
        assert len(excerpts) == 6
        assert excerpts[0].start >= 0
        assert excerpts[-1].start + 5 <= 33
        for first, second in pairwise(excerpts):
            assert first.start + 5 <= second.start + 1e-9


def test_every_part_of_a_recording_can_be_chosen():
    """The remaining time is distributed at random: over many seeds the first excerpt starts anywhere in it."""
    starts = [cut("a.wav", noise(8), RATE, 5, rng(seed))[0].start for seed in range(200)]
    assert min(starts) < 0.3
    assert max(starts) > 2.7


def test_a_short_recording_is_one_whole_excerpt_and_a_very_short_one_is_none():
    assert cut("a.wav", noise(3), RATE, 5, rng()) == [Excerpt("a.wav", 0.0, 3.0)]
    assert cut("a.wav", noise(1.9), RATE, 5, rng()) == []
    assert cut("a.wav", noise(1.5), RATE, 1, rng()) != []  # excerpts of 1 s were requested


def test_pauses_are_left_out():
    signal = noise(10)
    signal[:, : 5 * RATE] *= 0.01  # 40 dB below the rest
    assert [excerpt.start for excerpt in cut("a.wav", signal, RATE, 5, rng())] == [5.0]


@pytest.mark.parametrize("seconds", [3, 12])
def test_silence_is_never_chosen(seconds):
    """Digital silence, and noise of -66 dB of full scale (0.0005)."""
    assert cut("a.wav", 0 * noise(seconds), RATE, 5, rng()) == []
    assert cut("a.wav", np.float32(5e-4) * noise(seconds), RATE, 5, rng()) == []
    assert cut("a.wav", np.float32(5e-3) * noise(seconds), RATE, 5, rng()) != []


def test_all_recordings_come_before_a_second_excerpt_of_any():
    recordings = [[Excerpt(f"{name}.wav", start, 5.0) for start in (0.0, 5.0, 10.0)] for name in "abcd"]
    chosen = choose(recordings, 6, rng())
    assert len(chosen) == 6
    assert {excerpt.file for excerpt in chosen[:4]} == {"a.wav", "b.wav", "c.wav", "d.wav"}
    assert len(set(chosen)) == 6


def test_too_few_excerpts_are_all_chosen():
    assert len(choose([[Excerpt("a.wav", 0.0, 5.0)]], 50, rng())) == 1
    assert choose([], 50, rng()) == []


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_determines_the_choice(seed):
    def draw() -> list[Excerpt]:
        generator = rng(seed)
        return choose([cut(f"{n}.wav", noise(20), RATE, 5, generator) for n in range(5)], 8, generator)

    assert draw() == draw()
