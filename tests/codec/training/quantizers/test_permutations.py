"""Random permutations against published values of SplitMix64."""

from __future__ import annotations

import torch

from earmark.codec.training.quantizers.permutations import STEP, mixed, permutations


def test_splitmix64():
    """The first outputs of the seed 1234567 (https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64)."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = 1234567 + STEP * torch.arange(1, 6)
    assert [value % (1 << 64) for value in mixed(states).tolist()] == published


def test_permutations():
    first = permutations(4, 50, 7, torch.tensor(3))
    assert torch.equal(first.sort(dim=1).values, torch.arange(50).expand(4, 50))
    assert torch.equal(first, permutations(4, 50, 7, torch.tensor(3)))
    others = [permutations(4, 50, 8, torch.tensor(3)), permutations(4, 50, 7, torch.tensor(4)), first.roll(1, 0)]
    assert not any(torch.equal(first, other) for other in others)


def test_every_number_is_equally_likely():
    """2000 permutations of 10: each place holds each number 200 times, with a deviation of sqrt(200 x 0.9) = 13.4."""
    found = torch.stack([permutations(1, 10, 0, torch.tensor(number))[0] for number in range(2000)])
    counts = torch.stack([(found == number).sum(dim=0) for number in range(10)])
    assert (counts - 200).abs().max() < 5 * 13.4
