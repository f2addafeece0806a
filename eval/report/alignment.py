"""The section of the report on alignment: what was removed from each system, and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from earmark.eval.alignment.result import MARKS
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH

SAME = 0.5  # samples by which the delays of files may differ and still be called one
FEW = 40  # marked files that are listed
HEADINGS = (
    "System", "delay in samples", "delay in ms", "inverted", "gain in dB", "correlation", "largest drift in ppm",
    "true peak in dBTP", "samples beyond full scale",
)  # fmt: skip
LEGEND = (
    "Medians over files, with the range where files differ. The delay is what alignment removed, after the documented "
    "delay of a codec of Earmark. Correlation: normalised, with the source, at that delay. True peak (ITU-R BS.1770-5, "
    "annex 2) and samples beyond full scale: the largest of all files, as the decoder gave them.",
)


def alignment_grids(scores: pd.DataFrame, info: Mapping[str, Any]) -> list[Grid]:
    """A table of all systems, and one of the files with marks; [] for runs of earlier versions.

    Args:
        scores: rows of RUN/scores.parquet.
        info: content of run.json.
    """
    if "marks" not in scores or not scores["peak"].notna().any():
        return []
    files = scores.drop_duplicates(["file", "system"])
    files = files[files["delay"].notna()]
    rates = {recording["file"]: recording.get("sample_rate", math.nan) for recording in info["recordings"]}
    milliseconds = 1000 * files["delay"] / files["file"].map(rates)
    rows, data = [], []
    for system, members in files.groupby("system", sort=False):
        ms = milliseconds.loc[members.index]
        record = _record(str(system), members, ms)
        data.append(record)
        rows.append((
            str(system), _span(members["delay"], 0), _span(ms, 2), f"{record['inverted']}/{len(members)}",
            _span(members["gain_db"], 1), _number(members["peak"].median(), 3), _number(record["drift_ppm"], 1),
            _number(record["true_peak_db"], 1), str(record["beyond_full_scale"]),
        ))  # fmt: skip
    grids = [Grid("Alignment and level", HEADINGS, tuple(rows), LEGEND, data=tuple(data))]
    return grids + _marked(files)


def _record(system: str, members: pd.DataFrame, milliseconds: pd.Series[float]) -> dict[str, Any]:
    drift = members["drift_ppm"].where(members["marks"].str.contains("drift (", regex=False))
    return {
        "system": system, "files": len(members), "delay": members["delay"].median(), "delay_ms": milliseconds.median(),
        "inverted": int((members["sign"] < 0).sum()), "gain_db": members["gain_db"].median(),
        "peak": members["peak"].median(),
        "drift_ppm": max(drift.dropna(), key=abs, default=math.nan),
        "true_peak_db": members["true_peak_db"].max(),
        "beyond_full_scale": int(members["beyond_full_scale"].fillna(0).max()),
    }  # fmt: skip


def _marked(files: pd.DataFrame) -> list[Grid]:
    """The files with marks."""
    marked = files[files["marks"] != ""]
    if marked.empty:
        return []
    rows = tuple(
        (str(row.system), str(row.file), f"{row.delay:+.1f}", str(row.marks)) for row in marked[:FEW].itertuples()
    )
    names = {text.partition(" (")[0] for marks in marked["marks"] for text in str(marks).split("; ")}
    notes = [f"{name}: {meaning}." for name, meaning in MARKS.items() if name in names]
    if len(marked) > FEW:
        notes.insert(0, f"And {len(marked) - FEW} more; the column marks of scores.parquet has all.")
    return [Grid("Files with marks", ("System", "Recording", "delay in samples", "marks"), rows, tuple(notes), left=2)]


def _span(values: pd.Series[float], decimals: int) -> str:
    """The median, or the range where files differ."""
    known = values.dropna().to_numpy(np.float64)
    if not len(known):
        return DASH
    low, high = known.min(), known.max()
    if high - low <= SAME * 10.0**-decimals:
        return _number(float(np.median(known)), decimals)
    return f"{_number(float(np.median(known)), decimals)} ({_number(low, decimals)} to {_number(high, decimals)})"


def _number(value: float, decimals: int) -> str:
    return DASH if math.isnan(value) else f"{value + 0.0:.{decimals}f}"
