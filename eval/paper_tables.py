"""A run laid out like a table of the EnCodec paper (arXiv 2210.13438), our figures beside the published ones."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from codec.errors import UserError
from codec.training import recipe_files
from eval.aggregate import ALL
from eval.grid import Grid
from eval.table_layout import DASH, describe, kbps_text, lay_out

PCM_BITS = 16
MUSHRA = "MUSHRA"
# As the command names them -> as the recipes do.
RECIPES = {"table2": "table2", "tableA2": "table_a2", "tableA3": "table_a3", "tableA4": "table_a4"}


@dataclass(frozen=True)
class PublishedRow:
    """A row of the paper.

    Args:
        systems: shell patterns of our system strings that stand for it.
        entropy_coded: kbps with the language model, as published; None where there are none.
        paper: what is published, as printed, for each of the table's columns.
    """

    label: str
    systems: tuple[str, ...]
    entropy_coded: float | None
    paper: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """A table of the paper; `columns` are those of published figures, of which each row has one."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]


def names() -> list[str]:
    """The tables that can be laid out."""
    ours = (resources.files("eval") / "published").iterdir()
    return sorted([*(path.name.removesuffix(".toml") for path in ours if path.name.endswith(".toml")), *RECIPES])


def published(name: str) -> Published:
    """One of the paper's tables.

    Raises:
        UserError: there is none of that name here.
    """
    if name not in names():
        raise UserError(f"--paper {name}: not one of {', '.join(names())}")
    if name in RECIPES:
        return _of_recipes(RECIPES[name])
    content = tomllib.loads((resources.files("eval") / "published" / f"{name}.toml").read_text(encoding="utf-8"))
    unknown = [DASH] * len(content["columns"])
    rows = tuple(
        PublishedRow(
            row["label"], tuple(row["systems"]), row.get("entropy_coded"),
            tuple(f"{mean:.1f} ± {half_width:.1f}" for mean, half_width in row.get("paper", ())) or tuple(unknown),
        )
        for row in content["rows"]
    )  # fmt: skip
    return Published(content["title"], tuple(f"{content['what']}, {name}" for name in content["columns"]), rows)


def _of_recipes(name: str) -> Published:
    """Rows that are trainings: a system stands for the row that its checkpoint's folder is named after."""
    table = recipe_files.table(name)
    metrics = list(dict.fromkeys(metric for row in table.rows for metric in row.paper))
    rows = tuple(
        PublishedRow(
            row.label,
            (f"*:checkpoint=*/{PurePosixPath(row.recipe.partition(':')[2])}/*",),
            None,
            tuple(f"{row.paper[metric]:g}" if metric in row.paper else DASH for metric in metrics),
        )
        for row in table.rows
    )
    titles = (MUSHRA if metric == "mushra" else describe(metric).title for metric in metrics)
    return Published(table.title, tuple(titles), rows)


def lay_out_like(name: str, summary: pd.DataFrame, info: Mapping[str, Any], study: pd.DataFrame | None = None) -> Grid:
    """The run's systems in the paper's rows; cells of a system that was not run are empty.

    Args:
        summary: from `eval.aggregate.summarise`.
        info: content of run.json.
        study: summary.csv of a listening test's report on this run.

    Raises:
        UserError: there is no such table.
    """
    table = published(name)
    layout = lay_out(summary, info["speech_categories"])
    overall = next(section for section in reversed(layout.sections))
    cells = {row.system: row for row in overall.rows}
    judged = _mushra(study)
    headings = [
        "Model", *(f"{column} (paper)" for column in table.columns), "kbps, entropy coded (paper)", "kbps",
        "kbps, entropy coded", "compression", *(column.heading for column in layout.columns),
    ]  # fmt: skip
    headings += [f"{MUSHRA}, {category}" for category in judged]
    rows = []
    for row in table.rows:
        systems = [system for system in cells if _stands_for(system, row)]
        plain = next((system for system in systems if not _has_lm(system)), None)
        coded = next((system for system in systems if _has_lm(system)), None)
        ours = cells.get(plain or coded or "")
        line = [row.label, *row.paper, f"{row.entropy_coded:g}" if row.entropy_coded else DASH]
        line += [kbps_text(cells[plain].kbps) if plain else "", kbps_text(cells[coded].kbps) if coded else ""]
        line.append(_ratio(info, ours.kbps) if ours else "")
        line += [cell.text for cell in ours.cells] if ours else [""] * len(layout.columns)
        line += [_first(means, systems) for means in judged.values()]
        rows.append(tuple(line))
    notes = ["Paper: arXiv 2210.13438. The other columns are this run's; empty where a system was not run."]
    notes.append(f"Compression: bit rate of {PCM_BITS}-bit PCM over the measured one, the lower of the two.")
    return Grid(table.title, tuple(headings), tuple(rows), (*notes, *layout.notes))


def _stands_for(system: str, row: PublishedRow) -> bool:
    without = ":".join(part for part in system.split(":") if part != "lm")
    return any(fnmatch(without, pattern) for pattern in row.systems)


def _has_lm(system: str) -> bool:
    return "lm" in system.split(":")[1:]


def _ratio(info: Mapping[str, Any], kbps: float) -> str:
    """Bit rate of the recordings as 16-bit PCM over `kbps`; each as long as it is."""
    if not math.isfinite(kbps) or kbps <= 0:
        return DASH
    recordings = [entry for entry in info["recordings"] if not entry["error"]]
    seconds = sum(entry["seconds"] for entry in recordings)
    bits = sum(entry["seconds"] * entry["sample_rate"] * entry["channels"] * PCM_BITS for entry in recordings)
    return f"{bits / seconds / 1000 / kbps:.0f}×"


def _mushra(study: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    """Category -> condition -> "83.1 ± 2.7"."""
    found: dict[str, dict[str, str]] = {}
    if study is not None:
        for row in study.to_dict("records"):
            half_width = (row["ci95_high"] - row["ci95_low"]) / 2
            category = "all files" if row["category"] == ALL else str(row["category"])
            found.setdefault(category, {})[str(row["condition"])] = f"{row['mean']:.1f} ± {half_width:.1f}"
    return found


def _first(means: Mapping[str, str], systems: Sequence[str]) -> str:
    return next((means[system] for system in systems if system in means), "")


def read_study(folder: Path) -> pd.DataFrame:
    """The scores of a listening test.

    Raises:
        UserError: the folder holds no report of one.
    """
    path = folder / "summary.csv"
    try:
        return pd.read_csv(path, dtype={"condition": str, "category": str})
    except (OSError, ValueError) as error:
        raise UserError(f"--mushra {folder}: no summary.csv in it; make one with `earmark mushra report`") from error
