"""Means of scores: 95 % confidence intervals (Student t over files), measured bit rates, real-time factors."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit  # scipy.stats takes half a second to import

ALL = "all"  # the category of all files together
FEWEST_FOR_INTERVAL = 3  # two values gave +-195.72 dB
_PER_FILE = ["kbps_nominal", "kbps", "coded_seconds", "encode_seconds", "decode_seconds", "duration"]


def half_widths(n: pd.Series[int], deviation: pd.Series[float]) -> pd.Series[float]:
    """Half widths of 95 % confidence intervals of means, t(0.975, n - 1) s / sqrt(n) with Student's t.

    Args:
        n: observations behind each mean.
        deviation: standard deviations s with n - 1 in the denominator.

    Returns:
        NaN for n < 3: the interval of two observations says nothing.
    """
    return (stdtrit(np.maximum(n - 1, 1), 0.975) * deviation / np.sqrt(n)).where(n >= FEWEST_FOR_INTERVAL)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Average scores per system, category and metric; the category "all" covers all files.

    Undefined and failed cells are counted and never enter a mean.

    Args:
        scores: rows of RUN/scores.parquet: file, category, system, metric, value, status ("ok", "undefined" or
            "error"), kbps_nominal, kbps, encode_seconds, decode_seconds, duration, and if there are any
            coded_seconds, file_bytes and marks (other columns are ignored).

    Returns:
        A table with the columns

        system, category, metric: in the order in which they first appear in `scores`, "all" last.
        n, undefined, failed: number of files with a score, with an undefined score, and that failed.
        mean, ci95_low, ci95_high: mean over the n files and mean -+ t(0.975, n - 1) s / sqrt(n), NaN for n < 3.
        kbps_nominal, kbps: nominal bit rate; measured bit rate, payload bits of all files over the coded duration,
            which is that of the source in runs of earlier versions.
        encode_rtf, decode_rtf: duration of all files over their processing time (arXiv 2210.13438, section 4.6);
            higher is faster.
        file_bytes: whether the measured bit rate is that of whole files; absent if it is of none.
        marks: what alignment found, with the number of files: "inverted 3, drift 1"; absent if nothing was found.
    """
    keys = ["system", "category", "metric"]
    found, of_files = _marks(scores), _of_file_bytes(scores)
    if "coded_seconds" not in scores:  # of earlier versions
        scores = scores.assign(coded_seconds=np.nan)
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
    summary = summary.astype(dict.fromkeys(keys, "str"))
    if of_files:
        summary["file_bytes"] = summary["system"].isin(of_files)
    if found:
        pairs = zip(summary["system"], summary["category"], strict=True)
        summary["marks"] = pd.Series([found.get(pair, "") for pair in pairs], dtype="str")
    return summary


def _of_file_bytes(scores: pd.DataFrame) -> set[str]:
    """The systems whose bit rate is that of whole files, as the format of their bitstreams is not known."""
    if "file_bytes" not in scores:
        return set()
    return set(scores.loc[scores["file_bytes"].fillna(0) == 1, "system"].astype(str).unique())


def _marks(scores: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(system, category) -> names of marks with their numbers of files; {} for runs without marks."""
    if "marks" not in scores or not (scores["marks"] != "").any():
        return {}
    counts: dict[tuple[str, str], Counter[str]] = {}
    marked = scores[scores["marks"] != ""].drop_duplicates(["file", "system"])
    for row in marked.itertuples(index=False):
        for category in (row.category, ALL):
            names = (text.partition(" (")[0] for text in str(row.marks).split("; "))
            counts.setdefault((str(row.system), str(category)), Counter()).update(names)
    return {pair: ", ".join(f"{name} {n}" for name, n in count.items()) for pair, count in counts.items()}


def _rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Bit rate and speed per system and category; each file counts once, however many metrics it has."""
    files = rows.drop_duplicates(["system", "category", "file"]).copy()
    files["coded"] = files["coded_seconds"].fillna(files["duration"]).where(files["kbps"].notna())
    files["bits"] = files["kbps"] * files["coded"]
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
        values: [n]. Without a value the mean is NaN; with fewer than three the half width is NaN.
    """
    values = values[~np.isnan(values)]
    n = len(values)
    if n < FEWEST_FOR_INTERVAL:
        return (float(values.mean()) if n else math.nan), math.nan, n
    return float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)), n
