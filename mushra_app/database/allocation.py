"""Which items a listener rates: those with most places left, balanced over categories."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping

from earmark.mushra_app.study.study import Item, Study


def allocate(
    study: Study, held: Mapping[str, int], rng: random.Random, *, count: int | None = None, heard: Collection[str] = ()
) -> list[Item]:
    """Choose items for one listener, in the random order in which they are presented.

    Args:
        held: item id -> places that are taken, by a rating or a lease; absent means none.
        count: how many items; `study.trials_per_listener` unless told.
        heard: ids of items that this listener has already.

    Returns:
        `count` different items, or all that have a place left where these are fewer. An item with fewer places taken
        always goes first; among equals the category that this listener has least of, then chance.
    """
    left = [item for item in study.items if item.id not in heard and held.get(item.id, 0) < study.annotations]
    rng.shuffle(left)
    categories = {item.id: item.category for item in study.items}
    of_category = Counter(categories[item] for item in heard)
    chosen: list[Item] = []
    wanted = study.trials_per_listener if count is None else count
    while left and len(chosen) < wanted:
        best = min(left, key=lambda item: (held.get(item.id, 0), of_category[item.category]))
        left.remove(best)
        chosen.append(best)
        of_category[best.category] += 1
    rng.shuffle(chosen)
    return chosen


def is_complete(study: Study, valid: Mapping[str, int]) -> bool:
    """Whether every item has the ratings it needs, given item id -> ratings that count; the study then closes."""
    return all(valid.get(item.id, 0) >= study.annotations for item in study.items)
