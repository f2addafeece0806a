"""The column of a metric in a table: its title, unit, direction and mode."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.codec.errors import UserError
from earmark.eval.metrics import registry


@dataclass(frozen=True)
class Column:
    """One metric's column.

    Args:
        name: name on the command line, "pesq".
        title, detail: registered title, "PESQ wide band", and its remark, "P.862.2, before Corrigendum 2".
        arrow: direction of better scores, "↑" or "↓"; "" if it is not known here.
        mode: "speech mode" or "audio mode" of all its scores; "" if it has no modes, or scores of both.
    """

    name: str
    title: str
    detail: str
    unit: str
    arrow: str
    mode: str = ""

    @property
    def heading(self) -> str:
        """ "ViSQOL, audio mode (MOS-LQO) ↑"."""
        title = f"{self.title}, {self.mode}" if self.mode else self.title
        return f"{title}{f' ({self.unit})' if self.unit else ''} {self.arrow}".strip()


def describe(name: str) -> Column:
    """The column of a metric; one that is not installed here is headed by its name."""
    try:
        metric = registry.find(name)
    except UserError:
        return Column(name, name, "", "", "")
    title, _, detail = metric.title.partition(" (")
    if name in registry.BY_CATEGORY:
        title = title.partition(",")[0]  # without the mode, which depends on the category
    return Column(name, title, detail.removesuffix(")"), metric.unit, "↑" if metric.better == "higher" else "↓")
