"""Published figures beside those of a run: rows of a CSV file, marked as measured on other recordings."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.suggestions import same
from earmark.eval.metrics import registry
from earmark.eval.statistics.aggregate import ALL
from earmark.eval.statistics.macro import OVER_CATEGORIES

MARK = "‡"
REQUIRED = ("system", "metric", "mean")
COLUMNS = (*REQUIRED, "kbps", "interval", "n", "source", "category")
FORMAT = "columns system, metric and mean, and if known kbps, interval, n, source and category"
_NUMBER = r"[-+−]?\d+(?:\.\d+)?"
_HALF_WIDTH = re.compile(rf"(?:±|\+/?-)?\s*({_NUMBER})")
_BOUNDS = re.compile(rf"[\[(]?\s*({_NUMBER})\s*(?:,|;|–|\bto\b|\.\.|-)\s*({_NUMBER})\s*[\])]?")


def read_published(path: Path) -> pd.DataFrame:
    """Read published figures from a CSV file.

    Args:
        path: file with the columns system, metric, mean, and if known kbps, interval, n, source and category. An
            interval is a half width, "0.15" or "±0.15", or two bounds, "3.9 to 4.2" or "[3.9, 4.2]".

    Returns:
        Rows as `earmark.eval.statistics.aggregate.summarise` returns them, with a column source. The systems end with
        `MARK`; n is NaN if it is unknown; category is "" if the file names none.

    Raises:
        UserError: the file cannot be read, or a line of it is not valid.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name.strip().casefold() for name in reader.fieldnames or ()]
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV in UTF-8 ({error})") from error
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    if missing or unknown:
        problem = f"no column {missing[0]}" if missing else f"an unknown column {unknown[0]!r}"
        raise UserError(f"{path}: has {problem}; write the {FORMAT}")
    if not lines:
        raise UserError(f"{path}: has no line below the heading")
    return pd.DataFrame([_row(columns, line, f"{path}, line {number}") for number, line in lines])


def _row(columns: Sequence[str], line: Mapping[str | None, Any], where: str) -> dict[str, Any]:
    if None in line:
        raise UserError(f"{where}: has more cells than the heading; put cells with commas in quotes")
    cells = dict(zip(columns, ((value or "").strip() for value in line.values()), strict=True))
    for name in ("system", "metric"):
        if not cells[name]:
            raise UserError(f"{where}: {name} is empty")
    mean = _number(cells["mean"], "mean", where)
    kbps = _number(cells["kbps"], "kbps", where) if cells.get("kbps") else math.nan
    low, high = _interval(cells.get("interval", ""), mean, where)
    return {
        "system": f"{cells['system']} {MARK}",
        "category": cells.get("category", ""),
        "metric": same(cells["metric"], [*registry.BY_CATEGORY, *registry.registered()]) or cells["metric"],
        "n": _number(cells["n"], "n", where) if cells.get("n") else math.nan,
        "undefined": 0, "failed": 0, "mean": mean, "ci95_low": low, "ci95_high": high,
        "kbps_nominal": kbps, "kbps": math.nan, "encode_rtf": math.nan, "decode_rtf": math.nan,
        "source": cells.get("source") or "source not stated",
    }  # fmt: skip


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text.replace("−", "-"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {name} {text!r} is not a number")
    return value


def _interval(text: str, mean: float, where: str) -> tuple[float, float]:
    """Bounds of an interval, NaN if it is empty."""
    plain = text.replace("−", "-")
    if not plain:
        return math.nan, math.nan
    if half := _HALF_WIDTH.fullmatch(plain):
        width = abs(float(half[1]))
        return mean - width, mean + width
    if bounds := _BOUNDS.fullmatch(plain):
        low, high = float(bounds[1]), float(bounds[2])
        if low <= mean <= high:
            return low, high
        raise UserError(f"{where}: the interval {text!r} does not hold the mean {mean:g}")
    raise UserError(f"{where}: interval {text!r} is neither a half width, 0.15, nor two bounds, 3.9 to 4.2")


def with_published(summary: pd.DataFrame, published: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Add published figures to the means of a run.

    Figures without a category stand in that of the run, or below "all" if it has several.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
        published: from `read_published`.

    Returns:
        The rows of the run, whose column source is "", and below them the published ones.

    Raises:
        UserError: a system has two figures for one metric and category.
    """
    categories = [name for name in summary["category"].unique() if name not in OVER_CATEGORIES]
    rows = pd.concat(published, ignore_index=True).astype({"n": "Int64"})
    default = ALL if len(categories) > 1 else categories[0]
    rows["category"] = rows["category"].replace("", default)
    twice = rows[rows.duplicated(["system", "category", "metric"])]
    if len(twice):
        first = twice.iloc[0]
        raise UserError(f"--add: {first['system'].removesuffix(f' {MARK}')} has two figures for {first['metric']}")
    if "marks" in summary:
        rows["marks"] = ""  # their alignment is unknown
    if len(categories) == 1:  # the table shows one section; "all" is a copy of it
        rows = pd.concat([rows, rows[rows["category"] == default].assign(category=ALL)])
    return pd.concat([summary.assign(source="").astype({"n": "Int64"}), rows], ignore_index=True)


def is_published(summary: pd.DataFrame) -> pd.Series[bool]:
    """Which rows of a summary are published figures."""
    if "source" not in summary:
        return pd.Series(False, index=summary.index)
    return summary["source"] != ""


def unmarked(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows for a file, whose column source tells published figures from others, with plain names of systems."""
    if "source" not in summary:
        return summary
    return summary.assign(system=summary["system"].str.removesuffix(f" {MARK}"))


def published_systems(summary: pd.DataFrame) -> list[str]:
    """Names of the published systems, without the mark."""
    return [str(name) for name in unmarked(summary[is_published(summary)])["system"].unique()]


def published_note(summary: pd.DataFrame) -> list[str]:
    """A sentence on the published figures and their sources; [] without any."""
    rows = summary[is_published(summary)]
    if rows.empty:
        return []
    sources = [
        f"{', '.join(name.removesuffix(f' {MARK}') for name in group['system'].unique())}: {source}"
        for source, group in rows.groupby("source", sort=False)
    ]
    lead = f"{MARK} Published figures, measured on other recordings; hollow in plots, and in no test or comparison."
    return [f"{lead} {'; '.join(sources)}."]
