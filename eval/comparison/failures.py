"""What failed in a run, in few lines: recordings that cannot be read, codecs by reason, metrics by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from earmark.eval.metrics.interface import UNAVAILABLE

SHOWN = 20  # lines; the report and scores.parquet have them all


def failures(scores: pd.DataFrame, info: Mapping[str, Any]) -> list[str]:
    """One line for each recording that gave no score, each reason of a system, and each reason of a metric.

    A metric that cannot run on this machine is no failure (see `unavailable_metrics`).

    Args:
        scores: the rows of RUN/scores.parquet; a system that failed has left no duration, a metric has.
        info: content of run.json.
    """
    unread = {entry["file"]: entry["error"] for entry in info["recordings"] if entry["error"]}
    lines = [error if file in error else f"{file}: {error}" for file, error in unread.items()]
    broken = scores[(scores["status"] == "error") & ~scores["file"].isin(list(unread))]
    undecoded = broken["duration"].isna()
    for (system, reason), rows in broken[undecoded].groupby(["system", "reason"], sort=False):
        lines.append(f"{system}: {str(reason).removeprefix(f'{system}: ')} ({_named(rows['file'].unique().tolist())})")
    scored = broken[~undecoded & ~broken["reason"].str.startswith(UNAVAILABLE)]
    for (metric, reason), rows in scored.groupby(["metric", "reason"], sort=False):
        cells = (rows["file"] + " in " + rows["system"]).tolist()
        lines.append(f"{metric}: {reason} ({_named(cells)})")
    if len(lines) <= SHOWN:
        return lines
    return [*lines[: SHOWN - 1], f"and {len(lines) - SHOWN + 1} more reasons; the report has them all"]


def unavailable_metrics(scores: pd.DataFrame) -> list[str]:
    """One line per metric that cannot run on this machine: a gap in the table, but no failure of the run."""
    broken = scores[(scores["status"] == "error") & scores["reason"].str.startswith(UNAVAILABLE)]
    reasons = broken.groupby("metric", sort=False)["reason"].first()
    return [f"{metric}: {reason}" for metric, reason in reasons.items()]


def _named(cells: Sequence[str]) -> str:
    return cells[0] if len(cells) == 1 else f"{cells[0]} and {len(cells) - 1} more"
