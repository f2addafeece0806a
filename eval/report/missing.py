"""Reasons for missing scores: recordings that failed, cells that failed, cells that are undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

NAMED = 12  # files listed before "and 3 more"


@dataclass(frozen=True)
class Group:
    """All cells that share one reason.

    Args:
        files: the first files.
        more: number of further files.
    """

    reason: str
    metrics: tuple[str, ...]
    systems: tuple[str, ...]
    files: tuple[str, ...]
    more: int
    cells: int


@dataclass(frozen=True)
class Missing:
    """All missing scores of a run.

    Args:
        recordings: (file, reason) of each recording without any score.
    """

    recordings: tuple[tuple[str, str], ...]
    failed: tuple[Group, ...]
    undefined: tuple[Group, ...]

    @property
    def failed_cells(self) -> int:
        return sum(group.cells for group in self.failed)

    @property
    def undefined_cells(self) -> int:
        return sum(group.cells for group in self.undefined)


def missing(scores: pd.DataFrame, info: Mapping[str, Any]) -> Missing:
    """Group the cells without a score by reason; those of recordings that failed as a whole are not repeated.

    Args:
        scores: rows of RUN/scores.parquet.
        info: content of run.json.
    """
    recordings = {entry["file"]: entry["error"] for entry in info["recordings"] if entry["error"]}
    cells = scores[~scores["file"].isin(list(recordings))]
    return Missing(tuple(recordings.items()), _groups(cells, "error"), _groups(cells, "undefined"))


def _groups(cells: pd.DataFrame, status: str) -> tuple[Group, ...]:
    groups = []
    for reason, rows in cells[cells["status"] == status].groupby("reason", sort=False):
        names = {column: tuple(map(str, rows[column].unique())) for column in ("metric", "system", "file")}
        files = names["file"]
        groups.append(
            Group(str(reason), names["metric"], names["system"], files[:NAMED], max(0, len(files) - NAMED), len(rows))
        )
    return tuple(groups)
