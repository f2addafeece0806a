"""Whether the scores of two runs may be compared, and the reasons if not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import read_info, read_scores

NAMED = 3  # recordings that a reason names
# Keys that must agree for two recordings of one name to be the same -> their names in messages.
CONTENT = {"category": "category", "sha256": "content", "excerpt": "excerpt", "added": "added recording"}
FORMAT = {"sample_rate": "sample rate", "mono": "channels averaged"}


def reasons(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return the reasons why two runs are not comparable, one clause each; an empty list if they are.

    Args:
        ours, theirs: content of two run.json.
    """
    a, b = ({recording["file"]: recording for recording in info["recordings"]} for info in (ours, theirs))
    clauses = []
    for whose, names in (("the first", a.keys() - b.keys()), ("the second", b.keys() - a.keys())):
        if names:
            clauses.append(f"only {whose} has {_some(names)}")
    for key, name in CONTENT.items():
        if other := [file for file in a.keys() & b.keys() if a[file].get(key) != b[file].get(key)]:
            clauses.append(f"{_some(other)} {'has' if len(other) == 1 else 'have'} another {name}")
    for key, name in FORMAT.items():
        if ours[key] != theirs[key]:
            clauses.append(f"{name}: {_setting(ours[key])} against {_setting(theirs[key])}")
    if set(ours["speech_categories"]) != set(theirs["speech_categories"]):
        clauses.append("different categories are scored as speech")
    first, second = (info.get("metric_versions", {}) for info in (ours, theirs))
    for metric in sorted(first.keys() & second.keys()):
        if first[metric] != second[metric]:
            clauses.append(f"{metric} by {first[metric]} against {second[metric]}")
    return clauses


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _setting(value: bool | int | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "each recording's own" if value is None else f"{value} Hz"


def require_comparable(run: Path, other: Path) -> None:
    """Refuse two runs whose scores may not be compared.

    Raises:
        UserError: one is not a finished run, or they are not comparable; the message says why.
    """
    why = reasons(read_info(run), read_info(other))
    if why:
        raise UserError(f"{other}: not comparable with {run}: {'; '.join(why)}")


def joined(run: Path, other: Path) -> pd.DataFrame:
    """Join the scores of two runs; a system that both have gets the name of the second run appended there.

    Raises:
        UserError: one is not a finished run, or they are not comparable; the message says why.
    """
    require_comparable(run, other)
    ours, theirs = read_scores(run), read_scores(other)
    known = set(ours["system"])
    theirs["system"] = [f"{name} ({other.name})" if name in known else name for name in theirs["system"]]
    return pd.concat([ours, theirs], ignore_index=True)
