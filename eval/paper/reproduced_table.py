"""The table that `earmark reproduce` prints: our scores beside those of the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from earmark.codec.files import write_text
from earmark.codec.training.recipe_files import Table
from earmark.eval.paper.budget import Budget
from earmark.eval.paper.reproduce import RowScores
from earmark.eval.statistics.aggregate import mean_interval
from earmark.eval.tables.grid import RENDERERS, Grid
from earmark.eval.tables.layout import DASH

NAMES = {"si_snr": "SI-SNR (dB)", "visqol": "ViSQOL", "mushra": "MUSHRA"}


def build_grid(table: Table, done: Mapping[str, RowScores], budget: Budget) -> Grid:
    """Build the table of our scores beside the paper's.

    Args:
        table: table of the paper.
        done: scores by recipe; rows without scores show dashes.
        budget: budget of each row, for the note below the table.
    """
    metrics = [name for name in NAMES if any(name in row.paper for row in table.rows)]
    metrics += [name for name in NAMES if name not in metrics and any(name in one.scores for one in done.values())]
    headings = ("Row", *("paper", "ours") * len(metrics), "Updates")
    groups = ("", *(NAMES[name] for name in metrics for _ in ("paper", "ours")), "")
    rows = []
    for row in table.rows:
        ours = done.get(row.recipe)
        cells = [row.label]
        for name in metrics:
            cells.append(row.paper.get(name, DASH))
            cells.append(_cell(ours.scores[name]) if ours and name in ours.scores else DASH)
        rows.append((*cells, f"{ours.updates}" if ours else DASH))
    return Grid(table.title, headings, tuple(rows), _notes(done, budget), groups=groups)


def _notes(done: Mapping[str, RowScores], budget: Budget) -> tuple[str, ...]:
    devices = " and ".join(dict.fromkeys(one.device for one in done.values()))
    notes = [
        f"Paper: arXiv 2210.13438, 300 epochs of 2000 updates. Ours: each row trained for {budget} from scratch"
        f"{f' on {devices}' if devices else ''}; a fraction of the paper's training, so compare the order of the rows."
    ]
    count = max((len(one.experiment.excerpts) for one in done.values()), default=0)
    if count:
        notes.append(
            f"Ours over {count} held-out excerpts that no row was trained on: mean ± half width of its 95 % "
            "confidence interval, in brackets the number of excerpts with a score."
        )
    return tuple(notes)


def _cell(values: Sequence[float]) -> str:
    mean, half_width, count = mean_interval(np.array(values))
    if count == 0:
        return DASH
    return f"{mean:.2f}" + (f" ± {half_width:.2f}" if math.isfinite(half_width) else "") + f" ({count})"


def write_tables(grid: Grid, folder: Path) -> None:
    """Write table.md, table.tex and table.csv."""
    for name, style in (("table.md", "markdown"), ("table.tex", "latex"), ("table.csv", "csv")):
        write_text(folder / name, RENDERERS[style](grid))
