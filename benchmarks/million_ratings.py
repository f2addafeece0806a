"""Time to screen and summarise a million ratings: 9,616 listeners with 104 ratings each.

    python benchmarks/million_ratings.py [LISTENERS]

Each listener rates 13 of 400 items in 8 conditions, as in a crowd-sourced test, with a bias of their own; one in ten
rates at random. Also times reading the table from CSV and writing the report.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.ratings.statistics import summarise
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report.writing import write_report
from earmark.mushra_app.study.study import Role

Result = TypeVar("Result")

QUALITY = {"reference": 98, "mid anchor": 45, "low anchor": 18, "a": 85, "b": 75, "c": 65, "d": 55, "e": 35}
ROLES: dict[str, Role] = dict.fromkeys(QUALITY, "system")
ROLES |= {"reference": "hidden reference", "mid anchor": "mid anchor", "low anchor": "low anchor"}
ITEMS, CATEGORIES, RATINGS_EACH = 400, ("speech", "noisy speech", "music", "sounds"), 104


def crowd(listeners: int) -> Ratings:
    """Simulate ratings, RATINGS_EACH per listener."""
    rng = np.random.default_rng(0)
    conditions = np.array(list(QUALITY))
    index = np.arange(listeners * RATINGS_EACH)
    listener, turn = index // RATINGS_EACH, index % RATINGS_EACH
    item = (listener * 7 + turn // len(conditions)) % ITEMS
    condition = turn % len(conditions)
    quality = np.array(list(QUALITY.values()))[condition] + rng.normal(0, 6, listeners)[listener]
    careless = (rng.random(listeners) < 0.1)[listener]
    score = np.where(careless, rng.uniform(0, 100, len(index)), quality + rng.normal(0, 9, len(index)))
    frame = pd.DataFrame(
        {
            "listener": pd.Series([f"L{number:06d}" for number in range(listeners)])[listener].to_numpy(),
            "item": pd.Series([f"item-{number:03d}" for number in range(ITEMS)])[item].to_numpy(),
            "condition": conditions[condition],
            "score": np.clip(np.round(score), 0, 100),
            "category": np.array(CATEGORIES)[item % len(CATEGORIES)],
            "seconds": rng.gamma(9, 10, listeners * 13)[listener * 13 + turn // len(conditions)],
        }
    )
    return Ratings(frame.astype(dict.fromkeys(("condition", "category"), "str")), ROLES, "a crowd")


def screened_and_summarised(ratings: Ratings, rule: str) -> pd.DataFrame:
    """Screen and summarise, without the intervals that need resampling."""
    return summarise(screen(ratings, rule).kept)


def timed(what: str, work: Callable[[], Result]) -> Result:
    """Run a function and print its elapsed time and CPU time."""
    start, start_work = time.perf_counter(), time.process_time()
    result = work()
    print(f"{what:<40}{time.perf_counter() - start:>8.2f} s{time.process_time() - start_work:>10.2f} s", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("listeners", type=int, nargs="?", default=9_616, help="default: 9616")
    ratings = crowd(parser.parse_args().listeners)
    print(f"{len(ratings.frame)} ratings, {ratings.frame['listener'].nunique()} listeners")
    print(f"{'':<40}{'elapsed':>10}{'CPU':>12}")
    for rule in ("paper", "bs1534"):
        timed(f"screened by {rule} and summarised", partial(screened_and_summarised, ratings, rule))
    with tempfile.TemporaryDirectory() as folder:
        timed("the whole report", lambda: write_report(ratings, "paper", Path(folder) / "report"))
        ratings.frame.to_csv(Path(folder) / "ratings.csv", index=False)
        timed("read the table from CSV", lambda: read_ratings(Path(folder) / "ratings.csv"))


if __name__ == "__main__":
    main()
