"""Which items a new listener rates: those with the fewest annotations, balanced over categories."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from mushra_app.study import Item, Study


def allocate(study: Study, annotations: Mapping[str, int], rng: random.Random) -> list[Item]:
    """Choose the items of one listener, in the random order in which they are presented.

    Args:
        annotations: item id -> ratings it has or is about to get; absent means none.

    Returns:
        `study.trials_per_listener` different items, all of them where the study has fewer. An item with fewer
        annotations always goes first; among equals the category that this listener has least of, then chance.
    """
    left = list(study.items)
    rng.shuffle(left)
    chosen: list[Item] = []
    heard: Counter[str] = Counter()
    while left and len(chosen) < study.trials_per_listener:
        best = min(left, key=lambda item: (annotations.get(item.id, 0), heard[item.category]))
        left.remove(best)
        chosen.append(best)
        heard[best.category] += 1
    rng.shuffle(chosen)
    return chosen


def is_full(study: Study, complete: Mapping[str, int]) -> bool:
    """Whether every item has the ratings it needs, given item id -> complete ratings; the study then closes."""
    return all(complete.get(item.id, 0) >= study.annotations for item in study.items)
