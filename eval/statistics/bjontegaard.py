"""How much bit rate one codec saves at equal quality, and how much quality it gains at equal bit rate.

Bjontegaard's delta (ITU-T VCEG-M33) with the piecewise cubic interpolation of JCTVC-L1100: quality over the logarithm
of the bit rate, averaged over the range that two curves share.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from earmark.baselines.systems import parse
from earmark.codec.errors import UserError
from earmark.eval.statistics.differences import by_category, signed
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.layout import DASH, apart_note, decimals_of, describe


@dataclass(frozen=True)
class Curve:
    """One codec's qualities, rising with its bit rates in kbps."""

    kbps: tuple[float, ...]
    quality: tuple[float, ...]


@dataclass(frozen=True)
class Delta:
    """Curve `a` against curve `b` in one category by one metric.

    Args:
        rate: percent of bit rate that `a` needs more (negative: saves) at equal quality; NaN where there is none.
        quality: that `a` has more at equal bit rate, in the metric's unit; NaN where there is none.
        reason: why there is none, or "".
        decimals: of the metric's means.
    """

    metric: str
    category: str
    a: str
    b: str
    rate: float
    quality: float
    reason: str
    decimals: int = 2


def delta_rate(a: Curve, b: Curve) -> float:
    """Percent of bit rate that `a` needs more than `b`, mean over the qualities that both reach.

    Raises:
        ValueError: fewer than two points, quality that does not rise with the bit rate, or no quality in common.
    """
    return 100 * (math.exp(_mean_gap(_by_quality(a), _by_quality(b), "quality")) - 1)


def delta_quality(a: Curve, b: Curve) -> float:
    """Quality that `a` has more than `b`, mean over the bit rates (on a logarithmic scale) that both have.

    Raises:
        ValueError: fewer than two points, or no bit rate in common.
    """
    return _mean_gap(_by_rate(a), _by_rate(b), "bit rate")


Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def _by_rate(curve: Curve) -> Points:
    return np.log(curve.kbps), np.array(curve.quality)


def _by_quality(curve: Curve) -> Points:
    if any(later <= earlier for earlier, later in itertools.pairwise(curve.quality)):
        raise ValueError("quality does not rise with the bit rate")
    return np.array(curve.quality), np.log(curve.kbps)


def _mean_gap(a: Points, b: Points, what: str) -> float:
    """Mean of a(x) - b(x) over the x that both curves (x, y) have."""
    if min(len(a[0]), len(b[0])) < 2:
        raise ValueError("a curve needs two bit rates")
    low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
    if low >= high:
        raise ValueError(f"no {what} in common")
    areas = [PchipInterpolator(x, y).integrate(low, high) for x, y in (a, b)]
    return float(areas[0] - areas[1]) / (high - low)


def curves(scores: pd.DataFrame, metric: str, speech_categories: Collection[str] = ()) -> dict[str, dict[str, Curve]]:
    """Category -> codec -> curve of mean quality over measured bit rate, of codecs with two bit rates or more.

    A codec is a system without its bit rate, "opus" or "encodec_24khz:lm"; files on which one of the codec's systems
    has no score are left out of all its points.

    Args:
        scores: the rows of RUN/scores.parquet.
        speech_categories: as `earmark.eval.statistics.differences.differences` has them.
    """
    rows = scores[(scores["metric"] == metric) & (scores["status"] == "ok") & scores["kbps"].notna()]
    names = {system: _codec(system) for system in rows["system"].unique()}
    rows = rows.assign(codec=rows["system"].map(names))
    found: dict[str, dict[str, Curve]] = {}
    for category, block in by_category(rows, metric, speech_categories):
        for codec, points in block.groupby("codec", sort=False):
            if points["system"].nunique() < 2:
                continue
            whole = points.groupby("file")["system"].transform("size") == points["system"].nunique()
            means = points[whole].groupby("system")[["kbps", "value"]].mean().sort_values("kbps")
            if len(means) and means["kbps"].is_unique:
                found.setdefault(category, {})[str(codec)] = Curve(tuple(means["kbps"]), tuple(means["value"]))
    return found


def _codec(text: str) -> str:
    try:
        system = parse(text)
    except UserError:  # of a run made where more codecs were installed
        return text.partition("@")[0]
    options = (f":{key}{f'={value}' if value else ''}" for key, value in system.options.items())
    return system.family + "".join(options)


def deltas(scores: pd.DataFrame, metric: str, speech_categories: Collection[str] = ()) -> list[Delta]:
    """Every pair of codecs in every category.

    Args:
        scores: the rows of RUN/scores.parquet.
        speech_categories: as `earmark.eval.statistics.differences.differences` has them.
    """
    sign = -1.0 if describe(metric).arrow == "↓" else 1.0
    rows = scores[(scores["metric"] == metric) & (scores["status"] == "ok")]
    decimals = decimals_of(rows.groupby(["system", "category"])["value"].mean())
    found = []
    for category, block in curves(scores, metric, speech_categories).items():
        for a, b in itertools.combinations(block, 2):
            pair = [Curve(one.kbps, tuple(sign * value for value in one.quality)) for one in (block[a], block[b])]
            rate = quality = math.nan
            reasons = []
            try:
                quality = sign * delta_quality(*pair)
            except ValueError as error:
                reasons.append(str(error))
            try:
                rate = delta_rate(*pair)
            except ValueError as error:
                reasons.append(str(error))
            found.append(Delta(metric, category, a, b, rate, quality, ", ".join(reasons), decimals))
    return found


def grid(found: Sequence[Delta], metric: str, speech_categories: Collection[str] = ()) -> Grid:
    """For printing."""
    column = describe(metric)
    unit = f" ({column.unit})" if column.unit else ""
    rows = tuple(
        (
            one.category, one.a, one.b, f"{signed(one.rate, 1)} %" if math.isfinite(one.rate) else DASH,
            signed(one.quality, one.decimals), one.reason,
        )
        for one in found
    )  # fmt: skip
    return Grid(
        f"{column.title}{unit}: Bjontegaard deltas",
        ("Category", "Codec", "against", "bit rate", "quality", "why none"),
        rows,
        (
            "Bit rate: what the first codec needs more (+) or less at the qualities that both reach. Quality: what its "
            "score has more at the bit rates, measured, that both have. Piecewise cubic interpolation over the "
            "logarithm of the bit rate (VCEG-M33, JCTVC-L1100); curves of means over files.",
            *apart_note(metric, dict.fromkeys(one.category for one in found), speech_categories),
        ),
        left=3,
        data=tuple(
            {
                "metric": one.metric, "category": one.category, "a": one.a, "b": one.b, "rate_percent": one.rate,
                "quality": one.quality, "reason": one.reason,
            }
            for one in found
        ),
    )  # fmt: skip
