"""Coverage of each type of 95 % interval: how often it contains the true mean, in simulated listening tests.

    python benchmarks/interval_coverage.py [TESTS]

The standard deviation of listeners' use of the scale is 8 points, that of their preference for a condition 6, that of
the difficulty of items 5, and that of the error of a rating 10. Scores are rounded and clipped to the scale. The true
mean of a condition is the mean over 20,000 other listeners for the same items. A valid interval contains it in 95 % of
the tests.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from earmark.mushra_app.analysis import mixed_model
from earmark.mushra_app.analysis.intervals import cluster_bootstrap
from earmark.mushra_app.ratings.statistics import summarise

QUALITY = np.array([100.0, 80, 60, 40, 20])
ITEMS = 12
INTERVALS = {"over ratings (Student t)": "ci95", "over listeners (bootstrap)": "boot95", "mixed model": "mixed95"}


def scores(rng: np.random.Generator, listeners: int, hardness: np.ndarray) -> np.ndarray:
    """Simulate scores, [listeners, conditions, items]."""
    use = rng.normal(0, 8, (listeners, 1, 1))
    taste = rng.normal(0, 6, (listeners, len(QUALITY), 1))
    error = rng.normal(0, 10, (listeners, len(QUALITY), ITEMS))
    return np.clip(np.round(QUALITY[:, np.newaxis] - hardness + use + taste + error), 0, 100)


def intervals(given: np.ndarray) -> pd.DataFrame:
    """All three intervals of every condition, the best condition first."""
    listener, condition, item = (indices.ravel().astype(str) for indices in np.indices(given.shape))
    frame = pd.DataFrame({"listener": listener, "condition": condition, "item": item, "score": given.ravel()})
    table = summarise(frame).merge(cluster_bootstrap(frame), on=["condition", "category"])
    return table.merge(mixed_model.fit(frame).means, on="condition", how="left").sort_values("condition")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", type=int, nargs="?", default=200, help="number of simulated tests; default: 200")
    tests = parser.parse_args().tests
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
            print(f"  {name:<28} covers the true mean in {share:5.1f} %, {mean_width:5.1f} points wide")


if __name__ == "__main__":
    main()
