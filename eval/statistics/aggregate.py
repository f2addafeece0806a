"""From scores to means: 95 % confidence intervals (Student t over files), measured bit rate, real-time factors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit  # scipy.stats takes half a second to import

ALL = "all"  # the category of all files together
_PER_FILE = ["kbps_nominal", "kbps", "encode_seconds", "decode_seconds", "duration"]


def half_widths(n: pd.Series[int], deviation: pd.Series[float]) -> pd.Series[float]:
    """Half widths of 95 % confidence intervals of means, t(0.975, n - 1) s / sqrt(n) with Student's t.

    Args:
        n: observations behind each mean.
        deviation: their standard deviation s, n - 1 in the denominator; NaN for a single one, whose interval is NaN.
    """
    return stdtrit(np.maximum(n - 1, 1), 0.975) * deviation / np.sqrt(n)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per (system, category, metric), and the category "all" over all files.

    A cell that is undefined or failed is counted and never enters a mean.

    Args:
        scores: the rows of RUN/scores.parquet: file, category, system, metric, value, status ("ok", "undefined" or
            "error"), kbps_nominal, kbps, encode_seconds, decode_seconds, duration (and more, which is ignored).

    Returns:
        system, category, metric: in the order in which they first appear in `scores`, "all" last.
        n, undefined, failed: files with a score, without one, and that failed.
        mean, ci95_low, ci95_high: over the n files; mean -+ t(0.975, n - 1) s / sqrt(n), NaN for n = 1.
        kbps_nominal, kbps: requested rate, and all payload bits over the duration of all files.
        encode_rtf, decode_rtf: audio duration over processing time (arXiv 2210.13438, section 4.6), bigger is faster;
            both summed over the files before the division.
    """
    keys = ["system", "category", "metric"]
    scores = scores[["file", *keys, "value", "status", *_PER_FILE]]
    rows = pd.concat([scores, scores.assign(category=ALL)], ignore_index=True)
    for key in keys:
        rows[key] = pd.Categorical(rows[key], categories=rows[key].unique())
    rows["ok"] = rows["value"].where(rows["status"] == "ok")
    rows["is_undefined"] = rows["status"] == "undefined"
    rows["is_failed"] = rows["status"] == "error"
    cells: dict[str, Any] = {
        "n": ("ok", "count"),
        "undefined": ("is_undefined", "sum"),
        "failed": ("is_failed", "sum"),
        "mean": ("ok", "mean"),
        "deviation": ("ok", "std"),
    }
    summary = rows.groupby(keys, observed=True).agg(**cells).reset_index()
    half_width = half_widths(summary["n"], summary["deviation"])
    summary["ci95_low"] = summary["mean"] - half_width
    summary["ci95_high"] = summary["mean"] + half_width
    summary = summary.drop(columns="deviation").merge(_rates(rows), on=["system", "category"], how="left")
    return summary.astype(dict.fromkeys(keys, "str"))


def _rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Bit rate and speed per (system, category), each file counted once however many metrics it has."""
    files = rows.drop_duplicates(["system", "category", "file"]).copy()
    files["bits"] = files["kbps"] * files["duration"]
    files["coded"] = files["duration"].where(files["kbps"].notna())
    columns: dict[str, Any] = {
        "kbps_nominal": ("kbps_nominal", "first"),
        "bits": ("bits", "sum"),
        "coded": ("coded", "sum"),
    }
    for step in ("encode", "decode"):
        files[f"{step}_audio"] = files["duration"].where(files[f"{step}_seconds"].notna())
        columns |= {name: (name, "sum") for name in (f"{step}_audio", f"{step}_seconds")}
    rates = files.groupby(["system", "category"], observed=True).agg(**columns).reset_index()
    coded = rates.pop("coded")
    rates["kbps"] = rates.pop("bits") / coded.where(coded > 0)
    for step in ("encode", "decode"):
        seconds = rates.pop(f"{step}_seconds")
        rates[f"{step}_rtf"] = rates.pop(f"{step}_audio") / seconds.where(seconds > 0)
    return rates


def mean_interval(values: NDArray[np.floating[Any]]) -> tuple[float, float, int]:
    """Mean, half width of its 95 % confidence interval, and n, of the values that are not NaN.

    Args:
        values: [n]; the mean of none, and the half width of a single one, are NaN.
    """
    values = values[~np.isnan(values)]
    n = len(values)
    if n < 2:
        return (float(values[0]) if n else math.nan), math.nan, n
    return float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)), n
