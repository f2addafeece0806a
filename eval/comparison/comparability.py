"""Whether the scores of two runs can be set against each other, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import read_info, read_scores

NAMED = 3  # recordings in one reason
# What makes two recordings of one name the same, beside the name, and how it is called.
CONTENT = {"category": "category", "sha256": "content", "excerpt": "excerpt", "added": "added sound"}
FORM = {"sample_rate": "sample rate", "mono": "channels averaged"}


def reasons(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Why two runs are not comparable, a clause each; none where they are.

    Args:
        ours, theirs: content of two run.json.
    """
    a, b = ({entry["file"]: entry for entry in info["recordings"]} for info in (ours, theirs))
    found = []
    for whose, names in (("the first", a.keys() - b.keys()), ("the second", b.keys() - a.keys())):
        if names:
            found.append(f"only {whose} has {_some(names)}")
    for key, what in CONTENT.items():
        if other := [name for name in a.keys() & b.keys() if a[name].get(key) != b[name].get(key)]:
            found.append(f"{_some(other)} {'has' if len(other) == 1 else 'have'} another {what}")
    for key, what in FORM.items():
        if ours[key] != theirs[key]:
            found.append(f"{what}: {_setting(ours[key])} against {_setting(theirs[key])}")
    if set(ours["speech_categories"]) != set(theirs["speech_categories"]):
        found.append("other categories are taken for speech")
    versions = (info.get("metric_versions", {}) for info in (ours, theirs))
    first, second = versions
    for metric in sorted(first.keys() & second.keys()):
        if first[metric] != second[metric]:
            found.append(f"{metric} by {first[metric]} against {second[metric]}")
    return found


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _setting(value: bool | int | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "each recording's own" if value is None else f"{value} Hz"


def joined(run: Path, other: Path) -> pd.DataFrame:
    """The scores of two runs as if they were one; a system that both have is named after its run in the second.

    Raises:
        UserError: one is no finished run, or they are not comparable; it says why.
    """
    why = reasons(read_info(run), read_info(other))
    if why:
        raise UserError(f"{other}: not comparable with {run}: {'; '.join(why)}")
    ours, theirs = read_scores(run), read_scores(other)
    known = set(ours["system"])
    theirs["system"] = [f"{name} ({other.name})" if name in known else name for name in theirs["system"]]
    return pd.concat([ours, theirs], ignore_index=True)
