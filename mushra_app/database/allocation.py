"""Which items a listener rates: those with the fewest ratings, balanced over categories."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping

from earmark.mushra_app.study.study import Item, Study


def allocate(
    study: Study, taken: Mapping[str, int], rng: random.Random, *, count: int | None = None, heard: Collection[str] = ()
) -> list[Item]:
    """Choose items for one listener, in the random order in which they are presented.

    Items with fewer ratings and leases go first. Ties go to the category of which this listener has fewest items, then
    to chance.

    Args:
        taken: item id -> ratings and leases; default: 0.
        count: number of items; default: `study.trials_per_listener`.
        heard: ids of the items that this listener already has.

    Returns:
        `count` different items, or fewer if fewer still need ratings.
    """
    left = [item for item in study.items if item.id not in heard and taken.get(item.id, 0) < study.annotations]
    rng.shuffle(left)
    categories = {item.id: item.category for item in study.items}
    of_category = Counter(categories[item] for item in heard)
    chosen: list[Item] = []
    wanted = study.trials_per_listener if count is None else count
    while left and len(chosen) < wanted:
        best = min(left, key=lambda item: (taken.get(item.id, 0), of_category[item.category]))
        left.remove(best)
        chosen.append(best)
        of_category[best.category] += 1
    rng.shuffle(chosen)
    return chosen


def is_complete(study: Study, valid: Mapping[str, int]) -> bool:
    """Whether every item has the ratings it needs, so that the study closes.

    Args:
        valid: item id -> ratings that count; default: 0.
    """
    return all(valid.get(item.id, 0) >= study.annotations for item in study.items)
