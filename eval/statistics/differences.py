"""Which system is better, and how surely: paired differences over files, win rates, significance, and outliers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.eval.metrics import registry
from earmark.eval.statistics.aggregate import ALL, mean_interval
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import DASH, apart_note, decimals_of, describe, modes_of

FEW = 30  # files below which resampled means are too close together: of 10, they cover 90 % where they claim 95
RESAMPLES = 5000
SEED = 20221024
_CELLS = 4_000_000  # numbers in memory at a time while resampling
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """System `a` against system `b` in one category by one metric, over the n files where both have a score.

    Args:
        mean: of a's scores less b's, in the metric's unit.
        ci95_low, ci95_high: of that mean over files: Student's t below `FEW` files, from there percentile bootstrap.
        win_rate: share of the files where `a` is better, a tie counting half.
        p: Wilcoxon's signed-rank test, two-sided; NaN for fewer than two files.
        p_holm: the same after Holm's correction over all pairs of this category and metric.
        decimals: of the metric's means.
    """

    metric: str
    category: str
    a: str
    b: str
    n: int
    mean: float
    ci95_low: float
    ci95_high: float
    win_rate: float
    p: float
    p_holm: float
    decimals: int = 2

    @property
    def significant(self) -> bool:
        return self.p_holm < LEVEL


def differences(
    scores: pd.DataFrame, metric: str, against: str | None = None, speech_categories: Collection[str] = ()
) -> list[Difference]:
    """Every pair of systems in every category, and over all files where their scores are on one scale.

    The same files are drawn for all pairs, and the same each time.

    Args:
        scores: the rows of RUN/scores.parquet.
        against: compare all others with this system alone.
        speech_categories: those that a metric which follows the category heard in speech mode.

    Raises:
        UserError: the run has no such metric or system.
    """
    rows = _rows(scores, metric)
    systems = list(rows["system"].unique())
    if against is not None and against not in systems:
        raise UserError(f"--against {against}: not in this run; it has {', '.join(systems)}")
    pairs = [
        (b, a) if a == against else (a, b)
        for a, b in itertools.combinations(systems, 2)
        if against is None or against in (a, b)
    ]
    sign = 1.0 if describe(metric).arrow != "↓" else -1.0
    decimals = decimals_of(rows.groupby(["system", "category"])["value"].mean())
    found: list[Difference] = []
    for category, block in by_category(rows, metric, speech_categories):
        values = block.pivot_table(index="file", columns="system", values="value", sort=False)
        values = values.reindex(columns=systems)
        gaps = np.column_stack([values[a].to_numpy() - values[b].to_numpy() for a, b in pairs] or [np.zeros(0)])
        lows, highs = _bootstrap(gaps)
        tests = [_signed_rank(gaps[:, index]) for index in range(len(pairs))]
        for index, ((a, b), p, p_holm) in enumerate(zip(pairs, tests, holm(tests), strict=True)):
            gap = gaps[~np.isnan(gaps[:, index]), index]
            mean, half_width, n = mean_interval(gap)
            low, high = (lows[index], highs[index]) if n >= FEW else (mean - half_width, mean + half_width)
            wins = float(((sign * gap > 0) + 0.5 * (gap == 0)).mean()) if n else math.nan
            found.append(Difference(metric, category, a, b, n, mean, low, high, wins, p, p_holm, decimals))
    return found


def by_category(
    rows: pd.DataFrame, metric: str, speech_categories: Collection[str]
) -> list[tuple[str, pd.DataFrame]]:  # fmt: skip
    """The rows of each category, and of all where there are several on one scale."""
    blocks = [(str(name), block) for name, block in rows.groupby("category", sort=False)]
    scales = modes_of(metric, [name for name, _ in blocks], speech_categories)
    return [*blocks, (ALL, rows)] if len(blocks) > 1 and len(scales) < 2 else blocks


def _rows(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The cells of one metric that have a value."""
    if metric not in set(scores["metric"]):
        raise UserError(f"--metric {metric}: not in this run; it has {', '.join(scores['metric'].unique())}")
    return scores[(scores["metric"] == metric) & (scores["status"] == "ok")]


def _bootstrap(gaps: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Bounds of the central 95 % of resampled means, for each column of [files, pairs]; NaN is left out.

    Below `FEW` files they are NaN.
    """
    files = len(gaps)
    if files < FEW:
        return [math.nan] * gaps.shape[1], [math.nan] * gaps.shape[1]
    rng = np.random.default_rng(SEED)
    there = ~np.isnan(gaps)
    known, weights = np.where(there, gaps, 0.0), there.astype(np.float64)
    means = []
    for first in range(0, RESAMPLES, step := max(1, _CELLS // files)):
        drawn = rng.multinomial(files, np.full(files, 1 / files), min(step, RESAMPLES - first)).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((drawn @ known) / (drawn @ weights))
    with np.errstate(all="ignore"):
        lows, highs = np.nanquantile(np.concatenate(means), [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    few = there.sum(axis=0) < FEW
    return np.where(few, np.nan, lows).tolist(), np.where(few, np.nan, highs).tolist()


def _signed_rank(gap: NDArray[np.float64]) -> float:
    gap = gap[~np.isnan(gap)]
    if len(gap) < 2:
        return math.nan
    return float(wilcoxon(gap).pvalue) if gap.any() else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979); NaN counts as no test."""
    tested = sorted((value, index) for index, value in enumerate(p) if not math.isnan(value))
    corrected, largest = [math.nan] * len(p), 0.0
    for rank, (value, index) in enumerate(tested):
        largest = max(largest, min(1.0, value * (len(tested) - rank)))
        corrected[index] = largest
    return corrected


def outliers(scores: pd.DataFrame, metric: str, count: int) -> pd.DataFrame:
    """The files on which each system falls farthest behind its median; none for one whose files are all alike.

    Args:
        count: of each system.

    Returns:
        system, category, file, value, gap: value less the median of its system and category, the worst first.

    Raises:
        UserError: the run has no such metric.
    """
    rows = _rows(scores, metric)[["system", "category", "file", "value"]].copy()
    rows["gap"] = rows["value"] - rows.groupby(["system", "category"])["value"].transform("median")
    more_is_better = describe(metric).arrow != "↓"
    behind = rows[rows["gap"] < 0] if more_is_better else rows[rows["gap"] > 0]
    worst_first = behind.sort_values("gap", ascending=more_is_better, kind="stable")
    return worst_first.groupby("system", sort=False).head(count).reset_index(drop=True)


def grid(found: Sequence[Difference], metric: str, speech_categories: Collection[str] = ()) -> Grid:
    """For printing."""
    column = describe(metric)
    unit = f" ({column.unit})" if column.unit else ""
    rows = tuple(
        (
            one.category, one.a, one.b, f"{one.n}", signed(one.mean, one.decimals),
            f"{signed(one.ci95_low, one.decimals)} to {signed(one.ci95_high, one.decimals)}"
            if math.isfinite(one.ci95_low) else DASH,
            f"{100 * one.win_rate:.0f} %" if one.n else DASH,
            probability(one.p_holm) + (" *" if one.significant else ""),
        )
        for one in found
    )  # fmt: skip
    better = "higher" if column.arrow == "↑" else "lower"
    return Grid(
        f"{column.title}{unit}: paired differences over files",
        ("Category", "System", "against", "files", "difference", "95 % interval", "wins", "p"),
        rows,
        (
            f"Difference: mean over files of the first system's score less the second's; {better} scores are better. "
            f"Interval: Student's t below {FEW} files, from there percentile bootstrap over files, {RESAMPLES} "
            f"resamples, seed {SEED}. Wins: files where the first is better, ties counting half.",
            f"p: Wilcoxon's signed-rank test, two-sided{_correction(found)}; * where it is below {LEVEL:g}.",
            *too_few(found),
            *apart_note(metric, dict.fromkeys(one.category for one in found), speech_categories),
        ),
        left=3,
        data=tuple({key: value for key, value in asdict(one).items() if key != "decimals"} for one in found),
    )


def too_few(found: Sequence[Difference]) -> list[str]:
    """A sentence for each category whose files cannot show significance, whatever their scores.

    Of n files on which one system is always better, Wilcoxon's p is 2 / 2^n, which Holm takes times the pairs.
    """
    sentences = []
    for category in dict.fromkeys(one.category for one in found):
        tested = [one.n for one in found if one.category == category and not math.isnan(one.p)]
        least = min(1.0, len(tested) * 2.0 ** (1 - max(tested))) if tested else 1.0
        if least >= LEVEL:
            files = max(tested, default=1)
            sentences.append(
                f"{category}: too few files for significance; of {counted(files, 'file')} "
                f"p is {probability(least)} at least."
            )
    return sentences


def _correction(found: Sequence[Difference]) -> str:
    pairs = len({(one.a, one.b) for one in found})
    return f", after Holm's correction over the {pairs} pairs of each category" if pairs > 1 else ""


def signed(value: float, decimals: int) -> str:
    """With its sign, the typographer's; a dash where there is none."""
    return f"{value:+.{decimals}f}".replace("-", "−") if math.isfinite(value) else DASH


def probability(p: float) -> str:
    """ "0.031", "<0.001"."""
    if math.isnan(p):
        return DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def metrics_of(scores: pd.DataFrame) -> list[str]:
    """The run's metrics that are known here, in its order."""
    known = {*registry.BY_CATEGORY, *registry.registered()}
    return [name for name in scores["metric"].unique() if name in known]
