"""Table of the scores of each recording: a row per recording and system, a column per metric."""

from __future__ import annotations

import pandas as pd

from earmark.eval.statistics.scales import decimals_of
from earmark.eval.tables.columns import describe
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH, kbps_text

KEYS = ["file", "category", "system"]
REPEATED = ["kbps_nominal", "kbps", "lag", "duration"]  # columns that the metrics of a recording in a system share


def per_file_grid(scores: pd.DataFrame) -> Grid:
    """Table of the scores of each recording, in the order of the run.

    The data, which CSV and JSON print, have every number in full. Their column "missing" says which scores are
    undefined or failed, and why.

    Args:
        scores: rows of RUN/scores.parquet.
    """
    metrics = [str(name) for name in scores["metric"].unique()]
    values = scores.pivot(index=KEYS, columns="metric", values="value")
    shared = scores.drop_duplicates(KEYS).set_index(KEYS)
    shared = shared[[name for name in REPEATED if name in shared]]
    lacking = scores[scores["status"] != "ok"]
    reasons = lacking["metric"] + " " + lacking["status"] + ": " + lacking["reason"]
    missing = reasons.groupby([lacking[key] for key in KEYS]).agg("; ".join).rename("missing")
    table = shared.join(values[metrics]).join(missing).fillna({"missing": ""}).reset_index()
    decimals = {name: decimals_of(scores.loc[scores["metric"] == name, "value"]) for name in metrics}
    rows = [
        (
            row["file"], row["category"], row["system"], kbps_text(row["kbps"]),
            *(DASH if pd.isna(row[name]) else f"{row[name]:.{decimals[name]}f}" for name in metrics),
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    headings = ("Recording", "Category", "System", "kbps", *(describe(name).heading for name in metrics))
    return Grid("Scores of each recording", headings, tuple(rows), left=3, data=tuple(plain_records(table)))


def plain_records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Records whose missing numbers are NaN, which every format prints as empty or null."""
    return [
        {str(name): float("nan") if value is pd.NA else value for name, value in record.items()}
        for record in table.to_dict("records")
    ]
