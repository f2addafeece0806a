"""Bjontegaard deltas: bit rate saved at equal quality, quality gained at equal bit rate.

After ITU-T VCEG-M33, with the piecewise cubic interpolation of JCTVC-L1100: the gap between two curves of quality over
the logarithm of the bit rate, averaged over the range that both curves cover.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from earmark.baselines.systems import parse
from earmark.codec.errors import UserError
from earmark.eval.statistics import curve_bootstrap
from earmark.eval.statistics.rates import axis_kbps, tested
from earmark.eval.statistics.scales import by_category, decimals_of, lower_is_better

LEAST_POINTS = 4  # of a curve, as VCEG-M33 has
LEAST_OVERLAP = 0.5


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
        n: recordings that both codecs coded at all their bit rates, of which the curves are means.
        points: number of bit rates of `a` and of `b`.
        rate_low, rate_high, quality_low, quality_high: 95 % confidence intervals by a bootstrap of the recordings; NaN
            for fewer than three.
        overlap_quality, overlap_rate: share of the qualities, and of the bit rates on a logarithmic scale, that the two
            curves have in common, of those they cover together.
    """

    metric: str
    category: str
    a: str
    b: str
    rate: float
    quality: float
    reason: str
    decimals: int = 2
    n: int = 0
    points: tuple[int, int] = (0, 0)
    rate_low: float = math.nan
    rate_high: float = math.nan
    quality_low: float = math.nan
    quality_high: float = math.nan
    overlap_quality: float = math.nan
    overlap_rate: float = math.nan

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """Reasons that make the delta unreliable: few points, curves that hardly overlap, few recordings."""
        if not (math.isfinite(self.rate) or math.isfinite(self.quality)):
            return ()
        found = []
        if min(self.points) < LEAST_POINTS:
            found.append(f"{min(self.points)} bit rates, fewer than {LEAST_POINTS}")
        for name, share, value in (
            ("qualities", self.overlap_quality, self.rate), ("bit rates", self.overlap_rate, self.quality)
        ):  # fmt: skip
            if math.isfinite(value) and share < LEAST_OVERLAP:
                found.append(f"the curves share {100 * share:.0f} % of their {name}")
        return tuple(found)


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


@dataclass(frozen=True)
class Shared:
    """Bit rates and qualities of two codecs on the recordings that both coded at all their bit rates.

    A bit rate is the measured one, or for audio decoded elsewhere the stated one.

    Args:
        kbps, quality: of the first and of the second codec, [recordings, bit rates] each.
    """

    kbps: tuple[NDArray[np.float64], NDArray[np.float64]]
    quality: tuple[NDArray[np.float64], NDArray[np.float64]]

    @property
    def n(self) -> int:
        """Number of recordings."""
        return len(self.kbps[0])

    def curves(self) -> tuple[Curve, Curve]:
        """Means over the recordings, by rising bit rate.

        Raises:
            ValueError: no recording is shared, or two points of a codec have one bit rate.
        """
        if not self.n:
            raise ValueError("no recording in common")
        first, second = (_curve(*tables) for tables in zip(self.kbps, self.quality, strict=True))
        return first, second


def _curve(kbps: NDArray[np.float64], quality: NDArray[np.float64]) -> Curve:
    points = sorted(zip(kbps.mean(axis=0).tolist(), quality.mean(axis=0).tolist(), strict=True))
    if len({rate for rate, _ in points}) < len(points):
        raise ValueError("two points have one bit rate")
    rates, qualities = zip(*points, strict=True)
    return Curve(rates, qualities)


def codecs_of(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Map each codec run at two bit rates or more to its systems.

    A codec is a system without its bit rate, "opus" or "encodec_24khz:lm".
    """
    codecs: dict[str, list[str]] = {}
    for system in rows["system"].unique():
        codecs.setdefault(_codec(system), []).append(str(system))
    return {codec: systems for codec, systems in codecs.items() if len(systems) > 1}


def shared(rows: pd.DataFrame, first: Sequence[str], second: Sequence[str]) -> Shared:
    """Collect the recordings that have a score and a bit rate in all systems of two codecs.

    Args:
        rows: rows of RUN/scores.parquet by one metric, in one category, with a score.
        first, second: the systems of the codecs.
    """
    wide = rows.pivot(index="file", columns="system", values=["kbps", "value"])
    wide = wide.reindex(columns=pd.MultiIndex.from_product([["kbps", "value"], [*first, *second]])).dropna()
    kbps, quality = (
        tuple(wide[name][list(systems)].to_numpy(float) for systems in (first, second)) for name in ("kbps", "value")
    )
    return Shared((kbps[0], kbps[1]), (quality[0], quality[1]))


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
    """Compare every pair of codecs in every category, on the recordings that both coded at all their bit rates.

    Args:
        scores: rows of RUN/scores.parquet.
        speech_categories: see `earmark.eval.statistics.differences.differences`.
    """
    sign = -1.0 if lower_is_better(metric) else 1.0
    rows = tested(scores[(scores["metric"] == metric) & (scores["status"] == "ok")])
    decimals = decimals_of(rows.groupby(["system", "category"])["value"].mean())
    rows = rows.assign(value=sign * rows["value"], kbps=axis_kbps(rows)).dropna(subset="kbps")
    result = []
    for category, block in by_category(rows, metric, speech_categories):
        codecs = codecs_of(block)
        for a, b in itertools.combinations(codecs, 2):
            delta = _delta(shared(block, codecs[a], codecs[b]), sign)
            result.append(replace(delta, metric=metric, category=category, a=a, b=b, decimals=decimals))
    return result


def _delta(pair: Shared, sign: float) -> Delta:
    """The delta of a pair, without its names; `sign` is -1 if the qualities are those of a metric to be low."""
    points = (pair.kbps[0].shape[1], pair.kbps[1].shape[1])
    delta = Delta("", "", "", "", math.nan, math.nan, "", n=pair.n, points=points)
    try:
        first, second = pair.curves()
    except ValueError as error:
        return replace(delta, reason=str(error))
    reasons, rate, quality = [], math.nan, math.nan
    try:
        quality = delta_quality(first, second)
    except ValueError as error:
        reasons.append(str(error))
    try:
        rate = delta_rate(first, second)
    except ValueError as error:
        reasons.append(str(error))
    rate_bounds, quality_bounds = curve_bootstrap.intervals(pair.kbps, pair.quality)
    low, high = sorted(sign * bound for bound in quality_bounds)
    return replace(
        delta, rate=rate, quality=sign * quality, reason=", ".join(reasons),
        rate_low=rate_bounds[0] if math.isfinite(rate) else math.nan,
        rate_high=rate_bounds[1] if math.isfinite(rate) else math.nan,
        quality_low=low if math.isfinite(quality) else math.nan,
        quality_high=high if math.isfinite(quality) else math.nan,
        overlap_quality=overlap(first.quality, second.quality),
        overlap_rate=overlap(np.log(first.kbps), np.log(second.kbps)),
    )  # fmt: skip


def overlap(first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64]) -> float:
    """Share that two ranges have in common of the range they cover together, 0 to 1."""
    common = min(max(first), max(second)) - max(min(first), min(second))
    together = max(*first, *second) - min(*first, *second)
    return max(0.0, float(common / together)) if together else 0.0
