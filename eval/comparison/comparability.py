"""Whether the scores of two runs may be compared, and the reasons if not."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import read_info, read_scores

NAMED = 3  # recordings that a reason names
# Keys that must agree for two recordings of one name to be the same -> their names in messages.
CONTENT = {
    "category": "category",
    "sha256": "content",
    "excerpt": "excerpt",
    "added": "added recording",
    "room": "room",
}
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
    clauses += other_content(ours, theirs, a.keys())
    clauses += _formats(ours, theirs)
    if set(ours["speech_categories"]) != set(theirs["speech_categories"]):
        clauses.append("different categories are scored as speech")
    return clauses + _versions(ours, theirs, None)


def disagreements(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], files: Iterable[str], metrics: Iterable[str]
) -> list[str]:
    """Return the reasons why some scores of one run may not stand beside those of another, one clause each.

    The recordings of the runs may differ.

    Args:
        ours: run.json of the run with the scores.
        files, metrics: recordings and metrics of these scores.
        theirs: run.json of the other run.
    """
    named = set(metrics)
    clauses = other_content(ours, theirs, files) + _formats(ours, theirs)
    a, b = ({entry["category"] for entry in info["recordings"]} for info in (ours, theirs))
    for category in sorted(a & b):
        if (category in ours["speech_categories"]) != (category in theirs["speech_categories"]):
            clauses.append(f"only one scores {category} as speech")
    return clauses + _versions(
        ours, theirs, named | {f"{name}_{mode}" for name in named for mode in ("speech", "audio")}
    )


def other_content(ours: Mapping[str, Any], theirs: Mapping[str, Any], files: Iterable[str]) -> list[str]:
    """Say which recordings have one name in two runs, but not the same content; those that cannot be read count not."""
    a, b = ({entry["file"]: entry for entry in info["recordings"] if entry.get("sha256")} for info in (ours, theirs))
    common = [file for file in files if file in a and file in b]
    clauses = []
    for key, name in CONTENT.items():
        if other := [file for file in common if a[file].get(key) != b[file].get(key)]:
            clauses.append(f"{_some(other)} {'has' if len(other) == 1 else 'have'} another {name}")
    return clauses


def _formats(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {_setting(ours[key])} against {_setting(theirs[key])}"
        for key, name in FORMAT.items()
        if ours[key] != theirs[key]
    ]


def _versions(ours: Mapping[str, Any], theirs: Mapping[str, Any], metrics: Container[str] | None) -> list[str]:
    """Say which metrics have other versions, of those named or of all."""
    first, second = (info.get("metric_versions", {}) for info in (ours, theirs))
    return [
        f"{name} by {first[name]} against {second[name]}"
        for name in sorted(first.keys() & second.keys())
        if first[name] != second[name] and (metrics is None or name in metrics)
    ]


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
