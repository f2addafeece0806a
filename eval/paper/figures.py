"""The figures of a run that appear beside the published ones in the paper's tables (arXiv 2210.13438)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from earmark.eval.paper.published_tables import PaperColumn
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.tables.columns import Column
from earmark.eval.tables.layout import Row, Speed
from earmark.eval.tables.numbers import DASH, factor_text, kbps_text

PCM_BITS = 16


@dataclass(frozen=True)
class Figure:
    """A number as text and in full.

    Args:
        low, high: 95 % confidence interval of a mean, quartiles of a median; NaN if it has none.
        n: number of observations behind a mean; None for other numbers.
        reason: why there is no number, with the remedy; "" if there is one.
    """

    text: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int | None = None
    reason: str = ""


NO_SYSTEM = "no system of the run belongs in this row"
NO_STUDY = "no listening test was given: add --mushra STUDY"
NO_BENCH = "not timed: add --bench FILE, from `earmark bench`"
NOT_HEARD = "the listening test has no rating of it"


def missing(reason: str) -> Figure:
    """A figure without a number, and the reason."""
    return Figure("", reason=reason)


@dataclass(frozen=True)
class Measured:
    """All measurements of the run's systems, by system string.

    Args:
        columns: the run's metrics, in the order of each row's cells.
        mushra: results of a listening test, by condition and category in lower case.
        bench: results of `earmark bench` as in its JSON file; {} if none are given.
        failed: systems without any decoded recording, and why.
    """

    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    speeds: Mapping[str, Speed]
    pcm_kbps: float
    mushra: Mapping[tuple[str, str], Figure]
    bench: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str] = field(default_factory=dict)

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
    """Our figure for a system in a column of the paper, or the reason why it is missing."""
    if variant is None:
        return missing(NO_SYSTEM)
    if column.figure == "none":
        return Figure("")
    if variant.plain in ours.failed and column.figure not in ("mushra", "entropy_coded"):
        return missing(f"{variant.plain} failed: {ours.failed[variant.plain]}")
    return FIGURES.get(column.figure, _score)(ours, variant, column)


def _score(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    """The mean of a metric, from either system: a language model changes only the bit rate."""
    row = next((ours.rows[system] for system in variant.either if system in ours.rows), None)
    if row is None:
        return missing(f"{variant.plain} was heard or timed, but is no system of the run")
    cells = (cell for metric, cell in zip(ours.columns, row.cells, strict=True) if metric.name == column.figure)
    if (cell := next(cells, None)) is None:
        return missing(f"the run was not scored by {column.figure}: add `--metrics {column.figure}`")
    if cell.n == 0:
        return missing(f"no score: {cell.missing or 'not scored'}")
    return Figure(cell.text, cell.mean, cell.mean - cell.half_width, cell.mean + cell.half_width, cell.n)


def _kbps(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    return _rate(ours.rows.get(variant.plain), variant.plain)


def _entropy_coded(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    if not has_entropy_coder(variant.plain):
        return Figure(DASH)  # as in the paper
    if variant.coded is None:
        return missing(f"not run with a language model: add {variant.plain}:lm")
    if variant.coded in ours.failed:
        return missing(f"{variant.coded} failed: {ours.failed[variant.coded]}")
    return _rate(ours.rows.get(variant.coded), variant.coded)


def has_entropy_coder(system: str) -> bool:
    """Whether a system has the option lm."""
    return re.split("[@:]", system)[0].startswith("encodec_")


def _rate(row: Row | None, system: str) -> Figure:
    if row is None:
        return missing(f"{system} is no system of the run")
    return Figure(kbps_text(row.kbps), row.kbps) if math.isfinite(row.kbps) else Figure(DASH)


def _compression(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    kbps = ours.rows[variant.plain].kbps if variant.plain in ours.rows else math.nan
    if not math.isfinite(kbps) or kbps <= 0:
        return Figure(DASH)
    return Figure(f"{ours.pcm_kbps / kbps:.0f}×", ours.pcm_kbps / kbps)


def _mushra_mean(ours: Measured, variant: Variant, column: PaperColumn) -> Figure:
    if not ours.mushra:
        return missing(NO_STUDY)
    keys = ((system, category) for category in column.categories or (ALL,) for system in variant.either)
    return next((ours.mushra[key] for key in keys if key in ours.mushra), missing(NOT_HEARD))


def _latency(ours: Measured, variant: Variant, column: PaperColumn, *, coded: bool = False) -> Figure:
    if coded and not has_entropy_coder(variant.plain):
        return Figure(DASH)
    if not ours.bench:
        return missing(NO_BENCH)
    system = variant.coded if coded else variant.plain
    if system is None or system not in ours.bench:
        return missing(f"not timed: add {system or f'{variant.plain}:lm'} to `earmark bench`")
    seconds = ours.bench[system].get("latency")
    if seconds is None:
        return missing(f"{system} does not state its latency")
    return Figure(f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms", seconds)


def _real_time_factor(ours: Measured, variant: Variant, column: PaperColumn, *, step: str, coded: bool) -> Figure:
    if coded and not has_entropy_coder(variant.plain):
        return Figure(DASH)
    system = variant.coded if coded else variant.plain
    if ours.bench:
        if system is None or system not in ours.bench:
            return missing(f"not timed: add {system or f'{variant.plain}:lm'} to `earmark bench`")
        median, low, high = (ours.bench[system][step][name] for name in ("median", "low", "high"))
        return Figure(f"{factor_text(median)} ({factor_text(low)} to {factor_text(high)})", median, low, high)
    if system is None or system not in ours.speeds:
        return missing(NO_BENCH)
    factor = getattr(ours.speeds[system], step)
    return Figure(factor_text(factor), factor) if math.isfinite(factor) else missing(NO_BENCH)


FIGURES: Mapping[str, Callable[[Measured, Variant, PaperColumn], Figure]] = {
    "kbps": _kbps, "entropy_coded": _entropy_coded, "compression": _compression, "mushra": _mushra_mean,
    "si_snr": _score, "visqol": _score, "latency": _latency,
    "latency_coded": partial(_latency, coded=True),
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
        study: from `earmark.eval.paper.sources.read_study`; a column `mark`, if there is one, has a text that stands
            behind each figure.
    """
    figures: dict[tuple[str, str], Figure] = {}
    if study is not None:
        for row in study.to_dict("records"):
            half_width = (row["ci95_high"] - row["ci95_low"]) / 2
            interval = f" ± {half_width:.1f}" if math.isfinite(half_width) else ""
            category = str(row["category"]).lower().replace("_", " ")
            text = f"{row['mean']:.1f}{interval}{row.get('mark', '')}"
            figures[str(row["condition"]), category] = Figure(
                text, row["mean"], row["ci95_low"], row["ci95_high"], row.get("n")
            )
    return figures
