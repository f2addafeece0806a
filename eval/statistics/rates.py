"""Bit rates and roles of systems: which are under test, and where each stands on the axis of bit rates."""

from __future__ import annotations

import pandas as pd

YARDSTICKS = ("reference", "anchor")  # names of systems without a bitstream, the yardsticks of a comparison


def is_yardstick(system: str) -> bool:
    """Whether a system is the reference or an anchor."""
    return system.partition("@")[0].partition(":")[0] in YARDSTICKS


def tested(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of systems under test, without the reference and anchors; `rows` has a column `system`."""
    names = [str(name) for name in rows["system"].unique() if not is_yardstick(str(name))]
    return rows[rows["system"].isin(names)]


def axis_kbps(rows: pd.DataFrame) -> pd.Series[float]:
    """Bit rate in kbps on the axis of a plot: as measured, or for audio decoded elsewhere as stated; NaN if unknown.

    Args:
        rows: a table with the columns kbps and kbps_nominal.
    """
    return rows["kbps"].fillna(rows["kbps_nominal"])
