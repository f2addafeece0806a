"""The grid of a sweep, as a TOML file describes it, and its trainings.

recipe = "tiny"                           # a name, or a TOML file beside this one
set = ["training.updates=500"]            # in every row

[grid]                                    # a row for each combination
"optimizer.learning_rate" = [1e-3, 3e-4]
"losses.mel" = [1.0, 2.0]

[rows]                                    # and rows of one's own, by label
"no balancer" = ["balancer.enabled=false"]
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from earmark.codec.errors import UserError

KEYS = ("recipe", "set", "grid", "rows")


@dataclass(frozen=True)
class Item:
    """One training of a sweep.

    Args:
        row: label of its row.
        seed: its seed.
        folder: its folder, relative to that of the sweep.
        recipe: name or path of the recipe.
        settings: its settings, as given by `--set`.
    """

    row: str
    seed: int
    folder: str
    recipe: str
    settings: tuple[str, ...]


def read(path: Path, seeds: int, settings: tuple[str, ...] = ()) -> list[Item]:
    """The trainings of a sweep, row by row.

    Args:
        path: TOML file of the grid.
        seeds: trainings of each row, with the seeds 0, 1, ...
        settings: settings of all rows, in addition to the file's.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    content = _content(path)
    recipe = content.get("recipe", "")
    if not isinstance(recipe, str) or not recipe:
        raise UserError(f"{path}: names no recipe; write recipe = 'tiny' or the like")
    if recipe.endswith(".toml"):
        recipe = str(path.parent / recipe)
    common = _strings(path, "set", content.get("set", []))
    rows = {**_combinations(path, content.get("grid", {})), **_rows(path, content.get("rows", {}))}
    if not rows:
        rows = {"all": ()}
    folders = _folders(path, rows)
    return [
        Item(label, seed, f"{folders[label]}/seed-{seed}", recipe, (*common, *own, *settings, f"training.seed={seed}"))
        for label, own in rows.items()
        for seed in range(seeds)
    ]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: not a grid in TOML: {error}") from error
    if unknown := [key for key in content if key not in KEYS]:
        raise UserError(f"{path}: {unknown[0]} is unknown; there are {', '.join(KEYS)}")
    return content


def _combinations(path: Path, grid: Any) -> dict[str, tuple[str, ...]]:
    """A row for each combination of the values of [grid], labelled by the last parts of the names."""
    flat = dict(_flat(grid)) if isinstance(grid, Mapping) else {"": None}
    for key, values in flat.items():
        if not isinstance(values, list) or not values or "." not in key:
            raise UserError(f'{path}: [grid] holds lists of values by setting, as "losses.mel" = [1.0, 2.0]')
    if not flat:
        return {}
    rows = {}
    for values in product(*flat.values()):
        written = [f"{key}={json.dumps(value)}" for key, value in zip(flat, values, strict=True)]
        rows[", ".join(map(_short, written))] = tuple(written)
    return rows


def _short(setting: str) -> str:
    """optimizer.learning_rate=0.001 -> learning_rate=0.001."""
    key, _, value = setting.partition("=")
    return f"{key.rpartition('.')[2]}={value.strip(chr(34))}"


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Settings by their full names; TOML reads a key without quotation marks as nested tables."""
    pairs: list[tuple[str, Any]] = []
    for key, value in table.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs


def _rows(path: Path, rows: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(rows, Mapping):
        raise UserError(f"{path}: rows must be a section of labels and their settings")
    return {str(label): _strings(path, f"rows.{label}", settings) for label, settings in rows.items()}


def _strings(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and "=" in each for each in value):
        raise UserError(f'{path}: {key} must be a list of settings, as ["losses.mel=2.0"]')
    return tuple(value)


def _folders(path: Path, rows: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """A name of a folder for each label."""
    names = {label: re.sub(r"[^\w.=+-]+", "_", label, flags=re.ASCII).strip("_.") or "row" for label in rows}
    for label, name in names.items():
        if twins := [other for other in names if other != label and names[other] == name]:
            raise UserError(f"{path}: the rows {label!r} and {twins[0]!r} would have one folder; rename one")
    return names
