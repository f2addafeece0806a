"""How often each 95 % interval holds the true mean, in simulated tests whose truth is known.

Listeners differ in their use of the scale (8 points) and in their taste for a condition (6), items in how hard they are
(5), and every rating has an error (10); scores are clipped to the scale and rounded. The true mean of a condition is
that over 20 000 other listeners, for the same items. A good interval holds it in 95 % of tests.

    python benchmarks/interval_coverage.py [TESTS]
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from earmark.mushra_app.analysis import mixed_model
from earmark.mushra_app.analysis.intervals import cluster_bootstrap
from earmark.mushra_app.ratings.statistics import summarise

QUALITY = np.array([100.0, 80, 60, 40, 20])
ITEMS = 12
INTERVALS = {"over ratings (Student t)": "ci95", "over listeners (bootstrap)": "boot95", "mixed model": "mixed95"}


def scores(rng: np.random.Generator, listeners: int, hardness: np.ndarray) -> np.ndarray:
    """[listeners, conditions, items]."""
    use = rng.normal(0, 8, (listeners, 1, 1))
    taste = rng.normal(0, 6, (listeners, len(QUALITY), 1))
    error = rng.normal(0, 10, (listeners, len(QUALITY), ITEMS))
    return np.clip(np.round(QUALITY[:, np.newaxis] - hardness + use + taste + error), 0, 100)


def intervals(given: np.ndarray) -> pd.DataFrame:
    """All three intervals of every condition, best first."""
    listener, condition, item = (place.ravel().astype(str) for place in np.indices(given.shape))
    frame = pd.DataFrame({"listener": listener, "condition": condition, "item": item, "score": given.ravel()})
    table = summarise(frame).merge(cluster_bootstrap(frame), on=["condition", "category"])
    return table.merge(mixed_model.fit(frame).means, on="condition", how="left").sort_values("condition")


def main() -> None:
    tests = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for listeners in (6, 20, 60):
        rng = np.random.default_rng(listeners)
        held = dict.fromkeys(INTERVALS, 0)
        width = dict.fromkeys(INTERVALS, 0.0)
        for _ in range(tests):
            hardness = rng.normal(0, 5, ITEMS)
            truth = scores(rng, 20_000, hardness).mean(axis=(0, 2))
            table = intervals(scores(rng, listeners, hardness))
            for name, column in INTERVALS.items():
                low, high = table[f"{column}_low"].to_numpy(), table[f"{column}_high"].to_numpy()
                held[name] += int(((low <= truth) & (truth <= high)).sum())
                width[name] += float((high - low).sum())
        count = tests * len(QUALITY)
        print(f"{listeners} listeners, {ITEMS} items, {tests} tests of {len(QUALITY)} conditions")
        for name in INTERVALS:
            share, mean_width = 100 * held[name] / count, width[name] / count
            print(f"  {name:<28} holds the truth in {share:5.1f} %, {mean_width:5.1f} points wide")


if __name__ == "__main__":
    main()
