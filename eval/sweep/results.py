"""Results of a sweep: means and standard deviations over the seeds of each row."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from earmark.eval.sweep.rows import Item
from earmark.eval.tables.grid import Grid


def last_validation(folder: Path) -> tuple[int, dict[str, float]] | None:
    """The number of updates at the last validation in the log of a training, and its scores; None if there is none."""
    path = folder / "log.jsonl"
    if not path.exists():
        return None
    found = None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "validation" in entry:
            found = entry["update"], entry["validation"]
    return found


def table(items: Sequence[Item], folder: Path, title: str) -> Grid:
    """Table of the scores at the last validations: mean, and standard deviation over the seeds.

    Args:
        items: all trainings of the sweep.
        folder: folder of the sweep.
        title: title of the table.
    """
    rows = list(dict.fromkeys(item.row for item in items))
    found = {
        row: [result for item in items if item.row == row and (result := last_validation(folder / item.folder))]
        for row in rows
    }
    names = [name for results in found.values() for _, scores in results for name in scores if " " not in name]
    metrics = list(dict.fromkeys(names))
    cells, data = [], []
    for row, results in found.items():
        updates = sorted({number for number, _ in results})
        line = [row, str(len(results)), _range(updates)]
        record: dict[str, Any] = {"row": row, "seeds": len(results), "updates": updates[-1] if updates else math.nan}
        for name in metrics:
            values = [scores[name] for _, scores in results if not math.isnan(scores.get(name, math.nan))]
            spread = stdev(values) if len(values) > 1 else math.nan
            line.append(_cell(values, spread))
            record |= {name: mean(values) if values else math.nan, f"{name} sd": spread}
        cells.append(tuple(line))
        data.append(record)
    wanted = {row: sum(item.row == row for item in items) for row in rows}
    absent = [f"{row}: {wanted[row] - len(results)}" for row, results in found.items() if len(results) < wanted[row]]
    notes = ["Mean ± standard deviation over the seeds, at the last validation of each training."]
    notes += [f"Trainings without a validation yet: {', '.join(absent)}."] if absent else []
    return Grid(title, ("row", "seeds", "updates", *metrics), tuple(cells), tuple(notes), data=tuple(data))


def _cell(values: Sequence[float], spread: float) -> str:
    if not values:
        return "-"
    return f"{mean(values):.2f}" if math.isnan(spread) else f"{mean(values):.2f} ± {spread:.2f}"


def _range(numbers: Sequence[int]) -> str:
    """500, or 300-500; "-" for none."""
    return "-" if not numbers else "-".join(map(str, sorted({min(numbers), max(numbers)})))
