"""Bjontegaard deltas: bit rate saved at equal quality, quality gained at equal bit rate.

After ITU-T VCEG-M33, with the piecewise cubic interpolation of JCTVC-L1100: the gap between two curves of quality over
the logarithm of the bit rate, averaged over the range that both curves cover.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from earmark.baselines.systems import parse
from earmark.codec.errors import UserError
from earmark.eval.statistics.rates import axis_kbps, tested
from earmark.eval.statistics.scales import by_category, decimals_of, lower_is_better


@dataclass(frozen=True)
class Curve:
    """Quality of one codec over its bit rates in kbps, by rising bit rate."""

    kbps: tuple[float, ...]
    quality: tuple[float, ...]


@dataclass(frozen=True)
class Delta:
    """Codec `a` against codec `b` in one category by one metric.

    Args:
        rate: extra bit rate in percent that `a` needs at equal quality (negative: it saves); NaN if undefined.
        quality: extra quality of `a` at equal bit rate, in the metric's unit; NaN if undefined.
        reason: why a number is undefined, or "".
        decimals: number of decimals for `quality`.
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
    """Extra bit rate of `a` over `b` in percent, averaged over the qualities that both reach.

    Raises:
        ValueError: a curve has fewer than two points or its quality does not rise with the bit rate, or the curves
            have no quality in common.
    """
    return 100 * (math.exp(_mean_gap(_by_quality(a), _by_quality(b), "quality")) - 1)


def delta_quality(a: Curve, b: Curve) -> float:
    """Extra quality of `a` over `b`, averaged over the bit rates (on a logarithmic scale) that both cover.

    Raises:
        ValueError: a curve has fewer than two points, or the curves have no bit rate in common.
    """
    return _mean_gap(_by_rate(a), _by_rate(b), "bit rate")


Points = tuple[NDArray[np.float64], NDArray[np.float64]]  # x, y


def _by_rate(curve: Curve) -> Points:
    return np.log(curve.kbps), np.array(curve.quality)


def _by_quality(curve: Curve) -> Points:
    if any(later <= earlier for earlier, later in itertools.pairwise(curve.quality)):
        raise ValueError("quality does not rise with the bit rate")
    return np.array(curve.quality), np.log(curve.kbps)


def _mean_gap(a: Points, b: Points, axis: str) -> float:
    """Mean of a(x) - b(x) over the x that both curves cover."""
    if min(len(a[0]), len(b[0])) < 2:
        raise ValueError("a curve needs two bit rates")
    low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
    if low >= high:
        raise ValueError(f"no {axis} in common")
    areas = [PchipInterpolator(x, y).integrate(low, high) for x, y in (a, b)]
    return float(areas[0] - areas[1]) / (high - low)


def curves(scores: pd.DataFrame, metric: str, speech_categories: Collection[str] = ()) -> dict[str, dict[str, Curve]]:
    """Map category -> codec -> curve of mean quality over bit rate, for codecs run at two bit rates or more.

    The bit rate is the measured one, or for audio decoded elsewhere the stated one.

    A codec is a system without its bit rate, "opus" or "encodec_24khz:lm". A file counts only if all systems of the
    codec have a score for it.

    Args:
        scores: rows of RUN/scores.parquet.
        speech_categories: see `earmark.eval.statistics.differences.differences`.
    """
    rows = tested(scores[(scores["metric"] == metric) & (scores["status"] == "ok")])
    names = {system: _codec(system) for system in rows["system"].unique()}
    rows = rows.assign(codec=rows["system"].map(names), kbps=axis_kbps(rows)).dropna(subset="kbps")
    result: dict[str, dict[str, Curve]] = {}
    for category, block in by_category(rows, metric, speech_categories):
        for codec, points in block.groupby("codec", sort=False):
            if points["system"].nunique() < 2:
                continue
            complete = points.groupby("file")["system"].transform("size") == points["system"].nunique()
            means = points[complete].groupby("system")[["kbps", "value"]].mean().sort_values("kbps")
            if len(means) and means["kbps"].is_unique:
                result.setdefault(category, {})[str(codec)] = Curve(tuple(means["kbps"]), tuple(means["value"]))
    return result


def _codec(text: str) -> str:
    """A system string without its bit rate."""
    try:
        system = parse(text)
    except UserError:  # decoded elsewhere, or by a codec that is not installed here
        name, _, rest = text.partition("@")
        return name + "".join(rest.partition(":")[1:])
    options = (f":{key}{f'={value}' if value else ''}" for key, value in system.options.items())
    return system.family + "".join(options)


def deltas(scores: pd.DataFrame, metric: str, speech_categories: Collection[str] = ()) -> list[Delta]:
    """Compare every pair of codecs in every category.

    Args:
        scores: rows of RUN/scores.parquet.
        speech_categories: see `earmark.eval.statistics.differences.differences`.
    """
    sign = -1.0 if lower_is_better(metric) else 1.0
    rows = scores[(scores["metric"] == metric) & (scores["status"] == "ok")]
    decimals = decimals_of(rows.groupby(["system", "category"])["value"].mean())
    result = []
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
            result.append(Delta(metric, category, a, b, rate, quality, ", ".join(reasons), decimals))
    return result
