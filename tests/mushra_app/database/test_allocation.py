"""Which items a listener gets."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from earmark.mushra_app.database.allocation import allocate, is_complete
from earmark.mushra_app.study.study import Study


def test_items_with_fewest_annotations_come_first(study: Study):
    few = {"speechlike-000": 3, "musical-001": 1, "speechlike-002": 2, "musical-003": 0}
    chosen = allocate(replace(study, trials_per_listener=2), few, random.Random(1))
    assert {item.id for item in chosen} == {"musical-003", "musical-001"}


@pytest.mark.parametrize("seed", range(20))
def test_ties_are_balanced_over_categories(study: Study, seed: int):
    """Two of four unrated items: always one of each category, chosen at random within it."""
    chosen = allocate(replace(study, trials_per_listener=2), {}, random.Random(seed))
    assert sorted(item.category for item in chosen) == ["musical", "speechlike"]


def test_ties_are_broken_by_chance(study: Study):
    one = replace(study, trials_per_listener=1)
    assert len({allocate(one, {}, random.Random(seed))[0].id for seed in range(100)}) == 4


def test_a_listener_of_a_small_study_gets_every_item_once(study: Study):
    chosen = allocate(replace(study, trials_per_listener=99), {}, random.Random(0))
    assert sorted(item.id for item in chosen) == sorted(item.id for item in study.items)


def test_complete_items_are_not_assigned(study: Study):
    two = replace(study, annotations=2)
    taken = {"speechlike-000": 2, "musical-001": 3, "speechlike-002": 1, "musical-003": 0}
    assert {item.id for item in allocate(two, taken, random.Random(0))} == {"speechlike-002", "musical-003"}


def test_an_item_is_not_assigned_to_a_listener_twice(study: Study):
    heard = {"speechlike-000", "musical-001"}
    assert not heard & {item.id for item in allocate(study, {}, random.Random(0), count=4, heard=heard)}
    (one,) = allocate(study, {}, random.Random(0), count=1, heard=["speechlike-000", "speechlike-002"])
    assert one.category == "musical"


def test_is_complete_counts_every_item(study: Study):
    two = replace(study, annotations=2)
    valid = {item.id: 2 for item in study.items}
    assert is_complete(two, valid)
    assert not is_complete(two, valid | {"musical-001": 1})
    assert not is_complete(two, {"musical-001": 100})
