"""The tables and figures of the EnCodec paper that `earmark reproduce` makes, each under one name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean
from earmark.codec.training import recipe_files
from earmark.codec.training.recipe_files import Row
from earmark.eval.paper.published_tables import published

ANCHOR = "anchor@3.5k"
LISTED = "LIST"
EVERY = "all"
SPELLING = re.compile(r"(?P<type>tab(le)?|fig(ure)?)[-_. ]*(?P<number>a?[-_. ]*\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """A table or figure.

    Args:
        kind: "table"; "plot" for Figure 3, which shows the listening test of Table 1; "drawing" for Figures 1 and 2.
        systems: its codecs that need no training, as system strings without weights.
        trainings: its rows that are trainings.
        kbps: bit rate of the trainings.
        sample_rate, channels: of the recordings; 0 for a drawing.
        metrics: of the run.
        heard: whether it shows listeners' scores.
        timed: whether it shows speed or latency.
        coded: whether it shows entropy-coded bit rates or speeds.
    """

    name: str
    title: str
    kind: Literal["table", "plot", "drawing"] = "table"
    systems: tuple[str, ...] = ()
    trainings: tuple[Row, ...] = ()
    kbps: float = 0.0
    sample_rate: int = 24000
    channels: int = 1
    metrics: tuple[str, ...] = ()
    heard: bool = False
    timed: bool = False
    coded: bool = False

    @property
    def needs_run(self) -> bool:
        """Whether codecs are compared for it, and not only trained or timed."""
        return self.heard or bool(self.metrics and self.systems)


def items() -> dict[str, Item]:
    """All items by name."""
    tables = {name: _table(name) for name in ("table1", "table2", "table3", "table4", "table5", "tableA2", "tableA3",
                                              "tableA4")}  # fmt: skip
    first = tables["table1"]
    figures = (
        Item("figure1", "Figure 1: architecture of the codec", "drawing", sample_rate=0),
        Item("figure2", "Figure 2: the MS-STFT discriminator", "drawing", sample_rate=0),
        Item("figure3", "Figure 3: MUSHRA against bandwidth", "plot", first.systems, metrics=first.metrics, heard=True,
             coded=True),
    )  # fmt: skip
    return {**tables, **{figure.name: figure for figure in figures}}


def resolve(text: str) -> list[Item]:
    """The items that a name stands for: one, or all of them.

    Args:
        text: name in any spelling: tableA4, table_a4, "Table A.4", fig3; or "all".

    Raises:
        UserError: there is no such item.
    """
    known = items()
    if text.lower() == EVERY:
        return list(known.values())
    if match := SPELLING.fullmatch(text.strip()):
        kind = "table" if match["type"].lower().startswith("tab") else "figure"
        name = kind + re.sub(r"[-_. ]", "", match["number"]).upper()
        if name in known:
            return [known[name]]
    listed = ", ".join(known)
    raise UserError(f"{text}: the paper has {listed}, and all{did_you_mean(text, known)}")


def _table(name: str) -> Item:
    table = published(name)
    figures = {column.figure for column in table.columns}
    own = [row.systems[0] for row in table.rows if "*" not in row.systems[0]]
    rows = recipe_files.table(table.recipes) if table.recipes else None
    rate, channels = (table.condition.sample_rate, table.condition.channels) if table.condition else (24000, 1)
    heard = "mushra" in figures
    scores = tuple(metric for metric in ("si_snr", "visqol") if metric in figures)
    return Item(
        name, table.title, systems=tuple(own), trainings=rows.rows if rows else (), kbps=rows.kbps if rows else 0.0,
        sample_rate=rate, channels=channels, metrics=scores or (("si_snr",) if heard else ()), heard=heard,
        timed=any("_rtf" in figure or "latency" in figure for figure in figures),
        coded=any("coded" in figure for figure in figures),
    )  # fmt: skip
