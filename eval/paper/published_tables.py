"""The tables of the EnCodec paper (arXiv 2210.13438) as published, and the systems that belong in their rows.

published/TABLE.toml has a table's title, columns and rows. Rows that are trainings come from the table of recipes with
the same rows, so that one file has both the settings of a training and the paper's result.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean, same
from earmark.codec.training import recipe_files
from earmark.eval.tables.numbers import DASH

HOME = resources.files("earmark.eval.paper") / "published"


@dataclass(frozen=True)
class PaperColumn:
    """A column of published figures.

    Args:
        figure: key in `earmark.eval.paper.figures.FIGURES` of our figure beside it; "none" for none.
        categories: of a listening test, the categories that match the paper's, in lower case; () for all together.
    """

    heading: str
    figure: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper.

    Args:
        systems: shell patterns of system strings that belong in this row, without a language model.
        paper: published figure for each of the table's columns, as printed.
    """

    label: str
    systems: tuple[str, ...]
    paper: tuple[str, ...]

    def stands_for(self, system: str) -> bool:
        """Whether a system string, without its language model, belongs in this row."""
        return any(fnmatch(system, pattern) for pattern in self.systems)


@dataclass(frozen=True)
class Condition:
    """Format of the recordings behind a table: sample rate in Hz, 1 or 2 channels."""

    sample_rate: int
    channels: int


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Args:
        notes: sentences below it.
        condition: None if the table covers several.
        recipes: table of recipes whose rows, trainings, are among `rows`; None if no row is one.
    """

    title: str
    columns: tuple[PaperColumn, ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...]
    condition: Condition | None
    recipes: str | None = None


def names() -> list[str]:
    """Names of the tables."""
    return sorted(path.name.removesuffix(".toml") for path in HOME.iterdir() if path.name.endswith(".toml"))


def published(name: str) -> PaperTable:
    """Read one of the paper's tables; table_a4 is another spelling of tableA4.

    The files come with the package, so their content is not validated.

    Raises:
        UserError: there is no table of that name.
    """
    exact = table_name(name)
    if exact is None and re.fullmatch(r"fig(ure)?[-_ ]?[123]", name, re.IGNORECASE):
        raise UserError(f"--paper {name}: a figure; draw it by `earmark reproduce figure{name[-1]}`")
    if exact is None:
        raise UserError(f"--paper {name}: not one of {', '.join(names())}{did_you_mean(name, names())}")
    content = tomllib.loads((HOME / f"{exact}.toml").read_text(encoding="utf-8"))
    columns = tuple(
        PaperColumn(one["heading"], one["figure"], tuple(one.get("categories", ()))) for one in content["columns"]
    )
    rows = [PaperRow(row["label"], tuple(row["systems"]), tuple(row["paper"])) for row in content.get("rows", ())]
    if "recipes" in content:
        rows += _trainings(content["recipes"], columns, content.get("stand_ins", {}))
    condition = Condition(**content["condition"]) if "condition" in content else None
    return PaperTable(
        content["title"], columns, tuple(rows), tuple(content.get("notes", ())), condition, content.get("recipes")
    )


def table_name(name: str) -> str | None:
    """The exact name of a table that is spelt in any way: table_a4, TableA4, "Table A.4"; None if there is none."""
    return same(re.sub(r"[. ]", "", name), names())


def _trainings(name: str, columns: Sequence[PaperColumn], stand_ins: Mapping[str, Any]) -> list[PaperRow]:
    """Rows of a table of recipes: a system belongs in the row that the folder of its checkpoint is named after."""
    table = recipe_files.table(name)
    rows = []
    for row in table.rows:
        key = PurePosixPath(row.recipe.partition(":")[2])
        figures = {"kbps": f"{table.kbps:.1f}", **row.paper}
        at = f"*@{table.kbps:g}:checkpoint="
        systems = (f"{at}*/{key}/*", f"{at}{key}/*", *stand_ins.get(str(key), ()))
        rows.append(PaperRow(row.label, systems, tuple(figures.get(column.figure, DASH) for column in columns)))
    return rows
