"""A page with the worst recordings of one system: scores, players and spectrograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.files import write_text
from earmark.codec.text import counted
from earmark.eval.report.choice import OUTLIER, Choice
from earmark.eval.report.excerpts import begin, most_different
from earmark.eval.report.templating import render
from earmark.eval.statistics.scales import decimals_of
from earmark.eval.statistics.worst import Worst
from earmark.eval.tables.columns import describe
from earmark.eval.tables.numbers import DASH, kbps_text, signed
from earmark.eval.tables.worst_grid import by_metric, explanation

LONGEST = 10.0  # seconds


def write_worst_page(path: Path, run: Path, scores: pd.DataFrame, info: Mapping[str, Any], worst: Worst) -> bool:
    """Write the page, one file that holds everything.

    Args:
        path: file to write.
        run: folder of the run, with the decoded audio.
        scores: rows of RUN/scores.parquet.
        info: content of RUN/run.json.

    Returns:
        Whether all audio could be read; if not, a line on standard error said why.

    Raises:
        WriteError: the file cannot be written.
    """
    chosen = [
        Choice(row["file"], row["category"], OUTLIER, (worst.system,), worst.against)
        for row in worst.rows.to_dict("records")
    ]
    start = most_different(run, worst.system)
    cutting = begin(run, scores, chosen, worst.metric, longest=LONGEST, start=start)
    excerpts = cutting.wait()
    players = {excerpt.choice.file: number for number, excerpt in enumerate(excerpts, 1)}
    columns, rows = _table(worst, scores)
    silent = len(rows) - len(excerpts)
    notes = [f"{counted(silent, 'recording')} without a player: no readable audio, or no room in the page."]
    text = render(
        "worst.html", info=info, run=run, system=worst.system, metric=describe(worst.metric), excerpts=excerpts,
        headings=columns, rows=[{**row, "player": players.get(row["file"], 0)} for row in rows],
        explanation=explanation(worst), notes=notes if silent and excerpts else [],
    )  # fmt: skip
    write_text(path, text)
    return not cutting.failures


def _table(worst: Worst, scores: pd.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
    """Headings and rows: the score that ranks, and those by all other metrics."""
    metric, against = worst.metric, worst.against
    all_scores = by_metric(scores, worst.system).set_index("file")
    others = [name for name in all_scores.columns if name != metric]
    decimals = {name: decimals_of(scores.loc[scores["metric"] == name, "value"]) for name in [metric, *others]}

    def text(name: str, value: float) -> str:
        return DASH if pd.isna(value) else f"{value:.{decimals[name]}f}"

    headings = [describe(metric).heading, "against the median", *([against, "difference"] if against else []), "kbps"]
    rows = []
    for row in worst.rows.to_dict("records"):
        cells = [text(metric, row["value"]), signed(row["gap"], decimals[metric])]
        if against:
            cells += [text(metric, row["other"]), signed(row["difference"], decimals[metric])]
        cells.append(kbps_text(row["kbps"]))
        cells += [text(name, float(all_scores[name][row["file"]])) for name in others]
        rows.append({"file": row["file"], "category": row["category"], "cells": cells})
    return headings + [describe(name).heading for name in others], rows
