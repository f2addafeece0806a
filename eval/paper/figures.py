"""The figures of this run that stand beside those of the paper's tables (arXiv 2210.13438)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from earmark.eval.paper.published_tables import PaperColumn
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.layout import Column, Row, Speed
from earmark.eval.tables.numbers import factor_text, kbps_text

PCM_BITS = 16


@dataclass(frozen=True)
class Figure:
    """A number as it is printed, and in full.

    Args:
        low, high: its 95 % confidence interval; of a median the quartiles; NaN where it has none.
        n: observations behind it, None where it is not a mean.
    """

    text: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int | None = None


EMPTY = Figure("")


@dataclass(frozen=True)
class Measured:
    """All that is known of this run's systems, by system string.

    Args:
        columns: the run's metrics, in the order of each row's cells.
        mushra: by condition and category in lower case.
        bench: what `earmark bench` measured, as its JSON has it; empty where none is given.
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
    """A system of ours in a row of the paper: its string without a language model, and with one."""

    plain: str
    coded: str | None

    @property
    def either(self) -> tuple[str, ...]:
        return (self.plain, self.coded) if self.coded else (self.plain,)


def figure(ours: Measured, variant: Variant | None, column: PaperColumn) -> Figure:
    """What stands in a column for a system of ours; empty where it was not measured."""
    return EMPTY if variant is None else FIGURES.get(column.figure, _score)(ours, variant, column)


def _score(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    """The mean of a metric; a language model changes the bits alone, so that either system has it."""
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
    places = ((system, category) for category in column.categories or (ALL,) for system in variant.either)
    return next((ours.mushra[place] for place in places if place in ours.mushra), EMPTY)


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
    """Bit rate of the recordings as 16-bit PCM; each as long as it is."""
    recordings = [entry for entry in info["recordings"] if not entry["error"]]
    seconds = sum(entry["seconds"] for entry in recordings)
    bits = sum(entry["seconds"] * entry["sample_rate"] * entry["channels"] * PCM_BITS for entry in recordings)
    return bits / seconds / 1000 if seconds else math.nan


def mushra_figures(study: pd.DataFrame | None) -> dict[tuple[str, str], Figure]:
    """By condition and category in lower case, from `earmark.eval.paper.sources.read_study`; "83.1 ± 2.7"."""
    found: dict[tuple[str, str], Figure] = {}
    if study is not None:
        for row in study.to_dict("records"):
            half_width = (row["ci95_high"] - row["ci95_low"]) / 2
            interval = f" ± {half_width:.1f}" if math.isfinite(half_width) else ""
            category = str(row["category"]).lower().replace("_", " ")
            found[str(row["condition"]), category] = Figure(
                f"{row['mean']:.1f}{interval}", row["mean"], row["ci95_low"], row["ci95_high"], row.get("n")
            )
    return found
