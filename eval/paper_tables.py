"""A run laid out like a table of the EnCodec paper (arXiv 2210.13438), our figures beside the published ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from codec.errors import UserError
from eval.aggregate import ALL
from eval.grid import Grid
from eval.paper_conditions import DOUBLE_DAGGER, condition_note, other_weights, weights_note
from eval.published_tables import PaperColumn, PaperRow, PaperTable, published
from eval.table_layout import Column, Row, Speed, factor_text, kbps_text, lay_out

PCM_BITS = 16
SUMMARY = "summary.csv"
PAPER_NOTE = (
    "Columns marked “paper” are those of arXiv 2210.13438; the others are this run's, over all its files, and empty "
    "where a system was not run."
)
COMPRESSION_NOTE = f"Compression: bit rate of {PCM_BITS}-bit PCM over the measured one, without entropy coding."
MUSHRA_NOTE = "MUSHRA: mean ± half width of its 95 % confidence interval over ratings."
SPEED_NOTE = "Real-time factor: audio duration over processing time, bigger is faster; "


@dataclass(frozen=True)
class Measured:
    """All that is known of this run's systems, by system string.

    Args:
        columns: the run's metrics, in the order of each row's cells.
        mushra: (condition, category in lower case) -> "83.1 ± 2.7".
        bench: what `earmark bench` measured, as its JSON has it; empty where none is given.
    """

    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    speeds: Mapping[str, Speed]
    pcm_kbps: float
    mushra: Mapping[tuple[str, str], str]
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


def lay_out_like(
    name: str,
    summary: pd.DataFrame,
    info: Mapping[str, Any],
    study: pd.DataFrame | None = None,
    bench: Mapping[str, Mapping[str, Any]] | None = None,
) -> Grid:
    """The run's systems in the paper's rows, a line for each system that stands for one.

    Args:
        summary: from `eval.aggregate.summarise`.
        info: content of run.json.
        study: from `read_study`.
        bench: from `read_bench`; real-time factors are the run's own where it is None.

    Raises:
        UserError: there is no such table.
    """
    table = published(name)
    layout = lay_out(summary, info["speech_categories"])
    overall = layout.sections[-1]
    ours = Measured(
        layout.columns, {row.system: row for row in overall.rows}, {one.system: one for one in layout.speeds},
        _pcm_kbps(info), _mushra(study), bench or {},
    )  # fmt: skip
    figures = {column.figure for column in table.columns}
    extra = _extra_columns(table, ours)
    headings = ["Model", "System"]
    for column in table.columns:
        headings += [f"{column.heading} (paper)"] + [column.heading] * (column.figure in FIGURES)
    rows, shown = [], []
    for row in table.rows:
        for place, variant in enumerate(_variants(row, ours) or [None]):
            line = [row.label if place == 0 else "", _marked(variant.plain) if variant else ""]
            shown += [variant.plain] if variant else []
            for column, printed in zip(table.columns, row.paper, strict=True):
                line.append(printed if place == 0 else "")
                if column.figure in FIGURES:
                    line.append(_figure(ours, variant, column))
            rows.append((*line, *(_figure(ours, variant, column) for column in extra)))
    differing = (weights_note(shown), condition_note(table.condition, info) if table.condition else None)
    notes = [PAPER_NOTE, *table.notes, *filter(None, differing)]
    if "compression" in figures:
        notes.append(COMPRESSION_NOTE)
    if any("_rtf" in figure for figure in figures):
        notes.append(SPEED_NOTE + ("median of `earmark bench`." if bench else "timed during this run."))
    if ours.mushra:
        notes.append(MUSHRA_NOTE)
    headings += [column.heading for column in extra]
    return Grid(table.title, tuple(headings), tuple(rows), (*notes, *layout.notes), left=2)


def _marked(system: str) -> str:
    return f"{system} {DOUBLE_DAGGER}" if other_weights(system) is not None else system


def _extra_columns(table: PaperTable, ours: Measured) -> list[PaperColumn]:
    """What this run and its listening test have beyond the paper's columns: other metrics, other categories."""
    figures = {column.figure for column in table.columns}
    extra = [PaperColumn(one.heading, one.name) for one in ours.columns if one.name not in figures]
    shown = {name for column in table.columns if column.figure == "mushra" for name in column.categories or (ALL,)}
    for category in dict.fromkeys(category for _, category in ours.mushra):
        if category not in shown:
            name = "all files" if category == ALL else category
            extra.append(PaperColumn(f"MUSHRA, {name}", "mushra", (category,)))
    return extra


def _variants(row: PaperRow, ours: Measured) -> list[Variant]:
    found: dict[str, str | None] = {}
    for system in ours.systems:
        plain = re.sub(r":lm(=[^:]*)?(?=:|$)", "", system)
        if row.stands_for(plain):
            found[plain] = found.get(plain) or (system if system != plain else None)
    return [Variant(plain, coded) for plain, coded in found.items()]


def _figure(ours: Measured, variant: Variant | None, column: PaperColumn) -> str:
    if variant is None:
        return ""
    return FIGURES.get(column.figure, _score)(ours, variant, column)


def _score(ours: Measured, variant: Variant, column: PaperColumn) -> str:
    """The mean of a metric; a language model changes the bits alone, so that either system has it."""
    row = next((ours.rows[system] for system in variant.either if system in ours.rows), None)
    if row is None:
        return ""
    cells = (cell.text for metric, cell in zip(ours.columns, row.cells, strict=True) if metric.name == column.figure)
    return next(cells, "")


def _kbps(ours: Measured, variant: Variant, column: PaperColumn) -> str:
    return kbps_text(ours.rows[variant.plain].kbps) if variant.plain in ours.rows else ""


def _entropy_coded(ours: Measured, variant: Variant, column: PaperColumn) -> str:
    row = ours.rows.get(variant.coded or "")
    return kbps_text(row.kbps) if row else ""


def _compression(ours: Measured, variant: Variant, column: PaperColumn) -> str:
    kbps = ours.rows[variant.plain].kbps if variant.plain in ours.rows else math.nan
    return f"{ours.pcm_kbps / kbps:.0f}×" if math.isfinite(kbps) and kbps > 0 else ""


def _mushra_mean(ours: Measured, variant: Variant, column: PaperColumn) -> str:
    places = ((system, category) for category in column.categories or (ALL,) for system in variant.either)
    return next((ours.mushra[place] for place in places if place in ours.mushra), "")


def _latency(ours: Measured, variant: Variant, column: PaperColumn) -> str:
    seconds = ours.bench.get(variant.plain, {}).get("latency")
    if seconds is None:
        return ""
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _real_time_factor(ours: Measured, variant: Variant, column: PaperColumn, *, step: str, coded: bool) -> str:
    system = (variant.coded if coded else variant.plain) or ""
    if ours.bench:
        return factor_text(ours.bench[system][step]["median"]) if system in ours.bench else ""
    return factor_text(getattr(ours.speeds[system], step)) if system in ours.speeds else ""


FIGURES: Mapping[str, Callable[[Measured, Variant, PaperColumn], str]] = {
    "kbps": _kbps, "entropy_coded": _entropy_coded, "compression": _compression, "mushra": _mushra_mean,
    "si_snr": _score, "visqol": _score, "latency": _latency,
    "encode_rtf": partial(_real_time_factor, step="encode", coded=False),
    "decode_rtf": partial(_real_time_factor, step="decode", coded=False),
    "encode_rtf_coded": partial(_real_time_factor, step="encode", coded=True),
    "decode_rtf_coded": partial(_real_time_factor, step="decode", coded=True),
}  # fmt: skip


def _pcm_kbps(info: Mapping[str, Any]) -> float:
    """Bit rate of the recordings as 16-bit PCM; each as long as it is."""
    recordings = [entry for entry in info["recordings"] if not entry["error"]]
    seconds = sum(entry["seconds"] for entry in recordings)
    bits = sum(entry["seconds"] * entry["sample_rate"] * entry["channels"] * PCM_BITS for entry in recordings)
    return bits / seconds / 1000 if seconds else math.nan


def _mushra(study: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    if study is not None:
        for row in study.to_dict("records"):
            half_width = (row["ci95_high"] - row["ci95_low"]) / 2
            interval = f" ± {half_width:.1f}" if math.isfinite(half_width) else ""
            category = str(row["category"]).lower().replace("_", " ")
            found[str(row["condition"]), category] = f"{row['mean']:.1f}{interval}"
    return found


def read_study(place: Path) -> pd.DataFrame:
    """The scores of a listening test: condition, category, mean, ci95_low, ci95_high (and more, which is ignored).

    Args:
        place: a study with its report in it, the report's folder, or its summary.csv.

    Raises:
        UserError: there is no report of a listening test.
    """
    tried = (place, place / SUMMARY, place / "report" / SUMMARY)
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise UserError(f"--mushra {place}: no {SUMMARY} in it; make one with `earmark mushra report`")
    try:
        study = pd.read_csv(path, dtype={"condition": str, "category": str})
    except (OSError, ValueError) as error:
        raise UserError(f"--mushra {path}: not readable: {error}") from error
    if not {"condition", "category", "mean", "ci95_low", "ci95_high"} <= set(study.columns):
        raise UserError(
            f"--mushra {path}: ratings are screened first: `earmark mushra report --ratings {path} --out DIR`, then "
            "give DIR"
        )
    return study


def read_bench(path: Path) -> dict[str, dict[str, Any]]:
    """System -> what `earmark bench --out` wrote of it.

    Raises:
        UserError: it is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = {one["system"]: one for one in content["systems"]}
        if all({"latency", "encode", "decode"} <= one.keys() for one in found.values()):
            return found
        reason = "no real-time factors in it"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise UserError(f"--bench {path}: {reason}; make it with `earmark bench --out {path}`")
