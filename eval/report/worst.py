"""The recordings on which each codec falls farthest behind its own median, with links to what can be heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from earmark.eval.comparison.run_folder import REFERENCE, audio_path
from earmark.eval.report.excerpts import Excerpt
from earmark.eval.statistics.differences import metrics_of, outliers
from earmark.eval.statistics.rates import tested
from earmark.eval.statistics.scales import decimals_of
from earmark.eval.tables.columns import describe
from earmark.eval.tables.numbers import signed

LISTED = 3  # recordings per system


@dataclass(frozen=True)
class WorstRow:
    """One recording in one system.

    Args:
        score, gap: score, and score minus the median of the system and category, as text.
        player, version: number of the player on the page, from 1, and of the system in it; 0 without a player.
        decoded, source: addresses of the audio files relative to the page.
    """

    system: str
    category: str
    file: str
    score: str
    gap: str
    player: int
    version: int
    decoded: str
    source: str


@dataclass(frozen=True)
class WorstTable:
    """The worst recordings by one metric."""

    title: str
    rows: tuple[WorstRow, ...]


def worst_tables(run: Path, scores: pd.DataFrame, excerpts: Sequence[Excerpt]) -> list[WorstTable]:
    """For each metric the `LISTED` recordings on which each codec falls farthest behind its own median.

    Args:
        run: folder of the run.
        scores: rows of RUN/scores.parquet.
        excerpts: those that the page plays, in its order.
    """
    players = {
        (excerpt.choice.file, clip.system): (number, version)
        for number, excerpt in enumerate(excerpts, 1)
        for version, clip in enumerate(excerpt.clips)
    }
    coded = tested(scores)
    tables = []
    for name in metrics_of(coded):
        decimals = decimals_of(coded[coded["metric"] == name].groupby(["system", "category"])["value"].mean())
        rows = tuple(
            WorstRow(
                row["system"], row["category"], row["file"], signed(row["value"], decimals).removeprefix("+"),
                signed(row["gap"], decimals), *players.get((row["file"], row["system"]), (0, 0)),
                address(run, row["system"], row["file"]), address(run, REFERENCE, row["file"]),
            )
            for row in outliers(coded, name, LISTED).to_dict("records")
        )  # fmt: skip
        if rows:
            tables.append(WorstTable(describe(name).title, rows))
    return tables


def address(run: Path, system: str, file: str) -> str:
    """Address of a decoded recording relative to the folder of the run."""
    return quote(audio_path(run, system, file).relative_to(run).as_posix())
