"""One name, one person: exports of two studies of earlier versions both call their first listener L0001.

Since then names end with the id of the study, and exports have a column study. Tables in which a name could mean two
people are separated by that column, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from earmark.codec.errors import UserError

NUMBERED = re.compile(r"L\d{4,}")  # a name that earlier versions gave in every study
REMEDY = "give the listeners of each study names of their own, or add a column study"


def separated(path: Path, table: pd.DataFrame, listeners: pd.Series[str]) -> pd.Series[str]:
    """Names of listeners, followed by the study if a column study says that a name stands for several people.

    Args:
        table: cells as text, with the rows of `listeners`.

    Raises:
        UserError: there is no such column, and a listener of one of our exports rated two items at one position.
    """
    columns = {heading.lower(): heading for heading in table.columns}
    if "study" in columns:
        study = table[columns["study"]].str.strip()
        several = study.groupby(listeners).transform("nunique") > 1
        return listeners.where(~several, listeners + " (" + study + ")")
    if {"item", "position", "submitted"} <= columns.keys():  # an export of an earlier version
        items = table[columns["item"]].groupby([listeners, table[columns["position"]].str.strip()]).nunique()
        twice = items[items > 1]
        if len(twice):
            listener, position = twice.index[0]
            raise UserError(
                f"{path}: listener {listener} rated {twice.iloc[0]} items at position {position}: tables of two "
                f"studies in one, whose listeners have the same names? {REMEDY}"
            )
    return listeners


def require_one_person_per_name(files: Mapping[Path, pd.Series[str]]) -> None:
    """Refuse files that share a listener of the kind L0001, which each study of earlier versions has.

    Args:
        files: names of listeners, by file.

    Raises:
        UserError: names the files and the listener.
    """
    seen: dict[str, Path] = {}
    for path, listeners in files.items():
        for name in sorted(set(listeners)):
            if not NUMBERED.fullmatch(name):
                continue
            if name in seen:
                raise UserError(f"{seen[name]} and {path}: both have a listener {name}, maybe two people; {REMEDY}")
            seen[name] = path
