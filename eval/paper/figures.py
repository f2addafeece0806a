"""The figures of a run that appear beside the published ones in the paper's tables (arXiv 2210.13438)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from earmark.eval.paper.published_tables import PaperColumn
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.columns import Column
from earmark.eval.tables.layout import Row, Speed
from earmark.eval.tables.numbers import factor_text, kbps_text

PCM_BITS = 16


@dataclass(frozen=True)
class Figure:
    """A number as text and in full.

    Args:
        low, high: 95 % confidence interval of a mean, quartiles of a median; NaN if it has none.
        n: number of observations behind a mean; None for other numbers.
    """

    text: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int | None = None


EMPTY = Figure("")


@dataclass(frozen=True)
class Measured:
    """All measurements of the run's systems, by system string.

    Args:
        columns: the run's metrics, in the order of each row's cells.
        mushra: results of a listening test, by condition and category in lower case.
        bench: results of `earmark bench` as in its JSON file; {} if none are given.
    """

    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    speeds: Mapping[str, Speed]
    pcm_kbps: float
    mushra: Mapping[tuple[str, str], Figure]
    bench: Mapping[str, Mapping[str, Any]]

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys([*self.rows, *self.bench, *(condition for condition, _ in self.mushra)]))


@dataclass(frozen=True)
class Variant:
    """A system in a row of the paper: its string without a language model, and with one if that was run too."""

    plain: str
    coded: str | None

    @property
    def either(self) -> tuple[str, ...]:
        return (self.plain, self.coded) if self.coded else (self.plain,)


def figure(ours: Measured, variant: Variant | None, column: PaperColumn) -> Figure:
    """Our figure for a system in a column of the paper; empty if it was not measured."""
    return EMPTY if variant is None else FIGURES.get(column.figure, _score)(ours, variant, column)


def _score(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    """The mean of a metric, from either system: a language model changes only the bit rate."""
    row = next((ours.rows[system] for system in variant.either if system in ours.rows), None)
    if row is None:
        return EMPTY
    cells = (cell for metric, cell in zip(ours.columns, row.cells, strict=True) if metric.name == column.figure)
    if (cell := next(cells, None)) is None:
        return EMPTY
    return Figure(cell.text, cell.mean, cell.mean - cell.half_width, cell.mean + cell.half_width, cell.n)


def _kbps(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    return _rate(ours.rows.get(variant.plain))


def _entropy_coded(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    return _rate(ours.rows.get(variant.coded or ""))


def _rate(row: Row | None) -> Figure:
    return Figure(kbps_text(row.kbps), row.kbps) if row else EMPTY


def _compression(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    kbps = ours.rows[variant.plain].kbps if variant.plain in ours.rows else math.nan
    if not math.isfinite(kbps) or kbps <= 0:
        return EMPTY
    return Figure(f"{ours.pcm_kbps / kbps:.0f}×", ours.pcm_kbps / kbps)


def _mushra_mean(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    keys = ((system, category) for category in column.categories or (ALL,) for system in variant.either)
    return next((ours.mushra[key] for key in keys if key in ours.mushra), EMPTY)


def _latency(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    seconds = ours.bench.get(variant.plain, {}).get("latency")
    if seconds is None:
        return EMPTY
    return Figure(f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms", seconds)


def _real_time_factor(ours: Measured, variant: Variant, column: PaperColumn, *, step: str, coded: bool) -> Figure:
    system = (variant.coded if coded else variant.plain) or ""
    if ours.bench:
        if system not in ours.bench:
            return EMPTY
        median, low, high = (ours.bench[system][step][name] for name in ("median", "low", "high"))
        return Figure(f"{factor_text(median)} ({factor_text(low)} to {factor_text(high)})", median, low, high)
    factor = getattr(ours.speeds[system], step) if system in ours.speeds else math.nan
    return Figure(factor_text(factor), factor) if system in ours.speeds else EMPTY


FIGURES: Mapping[str, Callable[[Measured, Variant, PaperColumn], Figure]] = {
    "kbps": _kbps, "entropy_coded": _entropy_coded, "compression": _compression, "mushra": _mushra_mean,
    "si_snr": _score, "visqol": _score, "latency": _latency,
    "encode_rtf": partial(_real_time_factor, step="encode", coded=False),
    "decode_rtf": partial(_real_time_factor, step="decode", coded=False),
    "encode_rtf_coded": partial(_real_time_factor, step="encode", coded=True),
    "decode_rtf_coded": partial(_real_time_factor, step="decode", coded=True),
}  # fmt: skip


def pcm_kbps(info: Mapping[str, Any]) -> float:
    """Bit rate of the recordings as 16-bit PCM, averaged over their duration."""
    recordings = [recording for recording in info["recordings"] if not recording["error"]]
    seconds = sum(recording["seconds"] for recording in recordings)
    bits = sum(one["seconds"] * one["sample_rate"] * one["channels"] * PCM_BITS for one in recordings)
    return bits / seconds / 1000 if seconds else math.nan


def mushra_figures(study: pd.DataFrame | None) -> dict[tuple[str, str], Figure]:
    """Figures like "83.1 ± 2.7" by condition and category in lower case.

    Args:
        study: from `earmark.eval.paper.sources.read_study`.
    """
    figures: dict[tuple[str, str], Figure] = {}
    if study is not None:
        for row in study.to_dict("records"):
            half_width = (row["ci95_high"] - row["ci95_low"]) / 2
            interval = f" ± {half_width:.1f}" if math.isfinite(half_width) else ""
            category = str(row["category"]).lower().replace("_", " ")
            figures[str(row["condition"]), category] = Figure(
                f"{row['mean']:.1f}{interval}", row["mean"], row["ci95_low"], row["ci95_high"], row.get("n")
            )
    return figures
