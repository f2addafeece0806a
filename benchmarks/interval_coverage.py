"""Coverage of the 95 % intervals and size of the tests, in simulated listening tests and comparisons of metrics.

    python benchmarks/interval_coverage.py [--repetitions 2000] [--only listening|metrics|screening]

Everything is computed by the functions that the reports use. A rating is quality + listener + listener x system + item
+ item x system + error, normal with standard deviations of 8, 6, 5, 5 and 10 points, rounded and clipped to the scale.
The truth for these items is the mean over all listeners for the items of the test, the truth for other items the mean
over all listeners and all items. An interval for these items ought to contain the first in 95 % of the tests, one for
other items too the second. The second interval must contain the first truth more often: "necessary" gives the least
share that any symmetric interval reaches that contains the second truth in 93 % of the tests (`necessary`).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit
from scipy.stats import norm, wilcoxon

from earmark.eval.statistics.sign_flip import sign_flip
from earmark.eval.statistics.studentized import Stratum, means
from earmark.mushra_app.analysis.crossed import Crossed, dense_sums, estimate
from earmark.mushra_app.analysis.intervals import expanded_percentiles
from earmark.mushra_app.analysis.significance import friedman, holm
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.ratings.table import Ratings

Array = NDArray[np.float64]

QUALITY = np.array([80.0, 65, 65, 65, 65, 35])  # of six systems
EQUAL = slice(1, 5)  # four of them are equally good
LISTENER, TASTE, ITEM, ITEM_TASTE, ERROR = 8.0, 6.0, 5.0, 5.0, 10.0
PAIRS = ((0, 1), (1, 2), (3, 4), (4, 5))
NULL_PAIRS = ((1, 2), (3, 4))
DESIGNS = ((10, 8, 8), (20, 12, 12), (20, 100, 12), (40, 10, 10), (12, 30, 30))  # listeners, items, items of each
CHUNK = 100  # tests simulated at once


@dataclass
class Tests:
    """Simulated tests.

    Args:
        scores: [tests, systems, listeners, items], NaN where a listener did not rate an item.
        same, new: [tests, systems] true means for these items and for other items.
    """

    scores: Array
    same: Array
    new: Array


def simulate(rng: np.random.Generator, tests: int, rated: NDArray[np.bool_], level: bool) -> Tests:
    """Simulate tests.

    Args:
        rated: [listeners, items] whether a listener rates an item.
        level: whether the equal systems are made equal for the items of each test.
    """
    listeners, items = rated.shape
    systems = len(QUALITY)
    weights = rated.sum(axis=0) / rated.sum()
    effect = QUALITY[:, np.newaxis] + rng.normal(0, ITEM, (tests, 1, items)) + rng.normal(
        0, ITEM_TASTE, (tests, systems, items)
    )  # fmt: skip
    if level:
        effect[:, EQUAL] -= (effect[:, EQUAL] @ weights)[..., np.newaxis] - QUALITY[EQUAL, np.newaxis]
    latent = (
        effect[:, :, np.newaxis]
        + rng.normal(0, LISTENER, (tests, 1, listeners, 1))
        + rng.normal(0, TASTE, (tests, systems, listeners, 1))
        + rng.normal(0, ERROR, (tests, systems, listeners, items))
    )
    scores = np.where(rated, np.clip(np.round(latent), 0, 100), np.nan)
    within = np.sqrt(LISTENER**2 + TASTE**2 + ERROR**2)
    everywhere = np.sqrt(within**2 + ITEM**2 + ITEM_TASTE**2)
    new = np.broadcast_to(clipped_mean(QUALITY, everywhere), (tests, systems))
    return Tests(scores, clipped_mean(effect, within) @ weights, new)


def clipped_mean(mean: Array, deviation: float) -> Array:
    """Mean of a normal variable clipped to 0 to 100."""
    low, high = (0 - mean) / deviation, (100 - mean) / deviation
    inside = mean * (ndtr(high) - ndtr(low)) + deviation * (norm.pdf(low) - norm.pdf(high))
    return np.asarray(inside + 100 * ndtr(-high))


def by_listener(values: Array) -> tuple[Array, Array]:
    """Sums and counts of each listener, [listeners, sets], from values [tests, sets, listeners, items]."""
    sums, counts = np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1)
    return tuple(np.moveaxis(one, -1, 0).reshape(values.shape[2], -1).astype(float) for one in (sums, counts))  # type: ignore[return-value]


def student(values: Array, axis: tuple[int, ...] | int) -> tuple[Array, Array]:
    """Student's t interval of the mean over the axes."""
    n = (~np.isnan(values)).sum(axis=axis)
    mean, reach = (
        np.nanmean(values, axis=axis),
        stdtrit(n - 1, 0.975) * np.nanstd(values, axis=axis, ddof=1) / np.sqrt(n),
    )
    return mean - reach, mean + reach


def bootstrap(values: Array) -> tuple[Array, Array]:
    """Bounds of the bootstrap of listeners, [tests, sets]."""
    low, high = expanded_percentiles(*by_listener(values))
    return low.reshape(values.shape[:2]), high.reshape(values.shape[:2])


def crossed(values: Array) -> Crossed:
    """Estimates with listeners and items crossed, [tests, sets]."""
    return estimate(dense_sums(values))


def design_of(rng: np.random.Generator, listeners: int, items: int, each: int) -> NDArray[np.bool_]:
    """Which items each listener rates: every item about as often, as our allocation does."""
    rated = np.zeros((listeners, items), bool)
    for row in rated:
        order = np.lexsort((rng.random(items), rated.sum(axis=0)))
        row[order[:each]] = True
    return rated


def necessary(
    listeners: int, items: int, each: int, listener: float, item: float, error: float, level: float = 0.93
) -> float:
    """Least coverage for these items of a symmetric interval that covers other items in `level` of the tests.

    The mean of n = listeners x each trials varies by W = listener^2 / listeners + error^2 / n about the truth for these
    items, and by V = W + item^2 / items about the truth for other items. An interval of half width z sqrt(V), with
    2 Phi(z) - 1 = level, therefore contains the first truth in 2 Phi(z sqrt(V / W)) - 1 of the tests.

    Args:
        each: items that a listener rates.
        listener, item, error: standard deviations.
    """
    within = listener**2 / listeners + error**2 / (listeners * each)
    ratio = np.sqrt((within + item**2 / items) / within)
    return float(2 * ndtr(norm.ppf((1 + level) / 2) * ratio) - 1)


def listening(repetitions: int) -> None:
    """Print coverage and size for the designs."""
    columns: list[dict[str, str]] = []
    for listeners, items, each in DESIGNS:
        rng = np.random.default_rng(listeners * 1000 + items)
        held: dict[str, list[Array]] = {}
        sizes: dict[str, list[Array]] = {}
        for _ in range(0, repetitions, CHUNK):
            rated = design_of(rng, listeners, items, each)
            tests = simulate(rng, CHUNK, rated, level=False)
            gaps = np.stack([tests.scores[:, a] - tests.scores[:, b] for a, b in PAIRS], axis=1)
            truths = [(tests.same, tests.new)]
            truths += [tuple(np.stack([truth[:, a] - truth[:, b] for a, b in PAIRS], axis=1) for truth in truths[0])]
            for what, values, (same, new) in zip(("mean", "difference"), (tests.scores, gaps), truths, strict=True):
                listener_means = np.nanmean(values, axis=-1)
                intervals = {
                    "ratings t": student(values, (-2, -1)), "listeners t": student(listener_means, -1),
                    "bootstrap": bootstrap(values), "crossed": crossed(values).interval(),
                }  # fmt: skip
                for name, (low, high) in intervals.items():
                    for truth, whose in ((same, "these"), (new, "other")):
                        held.setdefault(f"{name}, {what}, {whose} items", []).append((low <= truth) & (truth <= high))
            collect_sizes(sizes, simulate(rng, CHUNK, rated, level=True), tests)
        size = f"{listeners} x {items}" + (f", {each} each" if each < items else "")
        parts = np.hypot(LISTENER, TASTE), np.hypot(ITEM, ITEM_TASTE), ERROR
        of_difference = np.sqrt(2) * TASTE, np.sqrt(2) * ITEM_TASTE, np.sqrt(2) * ERROR
        least = {
            f"necessary, {what}, these items": f"{100 * necessary(listeners, items, each, *part):.1f}"
            for what, part in (("mean", parts), ("difference", of_difference))
        }
        shares = {key: f"{100 * np.mean(np.concatenate(value)):.1f}" for key, value in (held | sizes).items()}
        columns.append({"design": size} | shares | least)
        print(columns[-1], flush=True)
    print(pd.DataFrame(columns).set_index("design").T.to_string())


def collect_sizes(sizes: dict[str, list[Array]], level: Tests, uneven: Tests) -> None:
    """Note which tests call equal systems different: equal for these items in `level`, over all items in `uneven`."""

    def differences(tests: Tests, pairs: Iterable[tuple[int, int]]) -> Array:
        return np.stack([tests.scores[:, a] - tests.scores[:, b] for a, b in pairs], axis=1)

    gaps, others = differences(level, NULL_PAIRS), differences(uneven, NULL_PAIRS)
    six = differences(uneven, itertools.combinations(range(1, 5), 2))
    sums, _ = by_listener(gaps)
    p = sign_flip(sums).reshape(gaps.shape[:2])
    p_other = crossed(others).p()
    listener_means = np.nanmean(gaps, axis=-1)
    p_ranks = wilcoxon(np.round(listener_means, 9), axis=-1, method="exact").pvalue  # ties would cost 2^n patterns each
    found = {
        "size, sign flip, these items": p < 0.05,
        "size, crossed t, other items": p_other < 0.05,
        "size, Wilcoxon, these items": p_ranks < 0.05,
        "size, sign flip, other items": sign_flip(by_listener(others)[0]).reshape(gaps.shape[:2]) < 0.05,
        "size, Friedman, these items": np.array([
            result.p < 0.05 for one in np.nanmean(level.scores[:, EQUAL], axis=-1)
            if (result := friedman(pd.DataFrame(one.T))) is not None
        ]),
        "any of 6 pairs after Holm, crossed t, other items": np.array([
            (holm(row) < 0.05).any() for row in crossed(six).p()
        ]),
    }  # fmt: skip
    for name, values in found.items():
        sizes.setdefault(name, []).append(np.ravel(values))


def metrics(repetitions: int) -> None:
    """Print the coverage and size of differences of metrics over recordings."""
    rng = np.random.default_rng(1)
    shapes = {
        "normal": lambda size: rng.normal(0, 1, size),
        "exponential": lambda size: rng.exponential(1, size) - 1,
        "lognormal": lambda size: rng.lognormal(0, 1, size) - np.exp(0.5),
    }
    print(
        "differences of metrics, in %: coverage of Student's t and of the printed interval; size of the printed test,"
    )
    print("of Student's t test and of a sign-flip test")
    for (name, draw), files in itertools.product(shapes.items(), (5, 8, 15, 30, 100)):
        gaps = draw((files, repetitions))
        low, high = student(gaps, 0)
        cells = [(low <= 0) & (high >= 0), *printed(gaps, np.ones(gaps.shape)), (low > 0) | (high < 0)]
        cells.append(sign_flip(gaps) < 0.05)
        print(f"  {name:<12} {files:>4} files   {percent(cells)}", flush=True)
    print(
        "  files of one talker alike (5 each, standard deviations 1 between and 0.5 within talkers): coverage by file "
        "and by talker, size by talker"
    )
    for talkers in (6, 12, 30):
        gaps = rng.normal(0, 1, (talkers, 1, repetitions)) + rng.normal(0, 0.5, (talkers, 5, repetitions))
        flat, sums = gaps.reshape(-1, repetitions), gaps.sum(axis=1)
        cells = [printed(flat, np.ones(flat.shape))[0], *printed(sums, np.full(sums.shape, 5.0))]
        print(f"  {talkers} talkers   {percent(cells)}", flush=True)


def printed(sums: Array, counts: Array) -> list[Array]:
    """Whether the printed intervals hold 0, and whether the printed p values are below 0.05, per column."""
    blocks = [
        means([Stratum(sums[:, first : first + CHUNK], counts[:, first : first + CHUNK])])
        for first in range(0, sums.shape[1], CHUNK)
    ]
    return [
        np.concatenate([(one.low <= 0) & (one.high >= 0) for one in blocks]),
        np.concatenate([one.p < 0.05 for one in blocks]),
    ]


def percent(cells: Iterable[Array]) -> str:
    return "  ".join(f"{100 * np.mean(cell):5.1f}" for cell in cells)


def screening(repetitions: int) -> None:
    """Print how many honest listeners each rule drops, and how far that moves the means.

    Twenty listeners per test rate the hidden reference at 100, less an error of 3 points, and at 60 in 3 % of the
    trials; anchors and systems as above.
    """
    print("honest listeners dropped, in %, and change of the means of reference and systems by screening, in points")
    for items in (5, 6, 8, 12, 24):
        for rule in ("paper", "bs1534", "bs1534-iqr"):
            rng = np.random.default_rng(items)
            dropped, moved = [], []
            for _ in range(max(1, repetitions // 20)):
                ratings = honest(rng, items)
                screened = screen(ratings, rule)
                dropped.append(len(screened.dropped) / 20)
                if len(screened.kept):
                    change = [frame.groupby("condition")["score"].mean() for frame in (ratings.frame, screened.kept)]
                    moved.append(change[1] - change[0])
            means_moved = pd.concat(moved, axis=1).mean(axis=1)
            print(f"  {items:>2} items, {rule:<10} {100 * np.mean(dropped):5.1f} % dropped; "
                  + ", ".join(f"{name} {value:+.2f}" for name, value in means_moved.items()), flush=True)  # fmt: skip


def honest(rng: np.random.Generator, items: int) -> Ratings:
    """Ratings of 20 listeners who do their task."""
    listeners, quality = 20, {"reference": 100.0, "mid anchor": 60.0, "low anchor": 20.0, "good": 85.0, "poor": 45.0}
    use, rows = rng.normal(0, LISTENER, (listeners, 1)), []
    for name, level in quality.items():
        scores = level + use + rng.normal(0, TASTE, (listeners, 1)) + rng.normal(0, ERROR, (listeners, items))
        if name == "reference":
            scores = 100 - np.abs(rng.normal(0, 3, (listeners, items)))
            scores[rng.random(scores.shape) < 0.03] = 60
        listener, item = np.indices(scores.shape)
        rows.append(pd.DataFrame({"listener": listener.ravel().astype(str), "item": item.ravel().astype(str),
                                  "condition": name, "score": np.clip(np.round(scores), 0, 100).ravel()}))  # fmt: skip
    roles = {"reference": "hidden reference", "mid anchor": "mid anchor", "low anchor": "low anchor"}
    frame = pd.concat(rows, ignore_index=True)
    return Ratings(frame, {name: roles.get(name, "system") for name in quality}, "honest")  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated tests of each design; default: 2000")
    parser.add_argument("--only", choices=("listening", "metrics", "screening"), help="default: all three")
    options = parser.parse_args()
    for part in (listening, metrics, screening):
        if options.only in (None, part.__name__):
            part(options.repetitions)


if __name__ == "__main__":
    main()
