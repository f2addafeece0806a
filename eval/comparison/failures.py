"""Failures of a run in a few lines: unreadable recordings, failed codecs and failed metrics, by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from earmark.eval.metrics.interface import UNAVAILABLE

NAMED = 3  # recordings in one line
SHOWN = 20  # lines; the report and scores.parquet have all


def failures(scores: pd.DataFrame, info: Mapping[str, Any]) -> list[str]:
    """Return one line per unreadable folder, recording without scores, and reason of a failed system or metric.

    A metric that cannot run on this machine is not a failure; see `unavailable_metrics`.

    Args:
        scores: the rows of RUN/scores.parquet; rows of a failed system have no duration, those of a failed metric do.
        info: content of run.json.
    """
    unread = {recording["file"]: recording["error"] for recording in info["recordings"] if recording["error"]}
    lines = list(info.get("unreadable_folders", ()))
    lines += [error if file in error else f"{file}: {error}" for file, error in unread.items()]
    broken = scores[(scores["status"] == "error") & ~scores["file"].isin(list(unread))]
    undecoded = broken["duration"].isna()
    for (system, reason), rows in broken[undecoded].groupby(["system", "reason"], sort=False):
        lines.append(f"{system}: {str(reason).removeprefix(f'{system}: ')} ({_named(rows['file'].unique().tolist())})")
    scored = broken[~undecoded & ~broken["reason"].str.startswith(UNAVAILABLE)]
    for (metric, reason), rows in scored.groupby(["metric", "reason"], sort=False):
        cells = (rows["file"] + " in " + rows["system"]).tolist()
        lines.append(f"{metric}: {reason} ({_named(cells)})")
    if len(lines) <= SHOWN:
        return lines
    return [*lines[: SHOWN - 1], f"and {len(lines) - SHOWN + 1} more reasons; the report has them all"]


def failed_systems(scores: pd.DataFrame) -> dict[str, str]:
    """Systems that decoded no recording, with the first reason.

    Args:
        scores: the rows of RUN/scores.parquet; rows of a failed system have no duration.
    """
    if "reason" not in scores:
        return {}
    undecoded = (scores["status"] == "error") & scores["duration"].isna()
    reasons = scores[undecoded & ~scores["system"].isin(scores.loc[~undecoded, "system"])]
    first = reasons.groupby("system", sort=False)["reason"].first()
    return {str(system): str(reason).removeprefix(f"{system}: ").rstrip(".") for system, reason in first.items()}


def unavailable_metrics(scores: pd.DataFrame) -> list[str]:
    """Return one line per metric that cannot run on this machine: its scores are missing, but no failure."""
    broken = scores[(scores["status"] == "error") & scores["reason"].str.startswith(UNAVAILABLE)]
    reasons = broken.groupby("metric", sort=False)["reason"].first()
    return [f"{metric}: {reason}" for metric, reason in reasons.items()]


def grouped_notes(notes: Sequence[str]) -> list[str]:
    """Notes on recordings, "a.wav: 48 kHz, empty above 8 kHz"; those that say the same of many are one line."""
    same: dict[str, list[str]] = {}
    for note in notes:
        same.setdefault(note.partition(": ")[2] or note, []).append(note)
    lines = []
    for text, members in same.items():
        names = [note.partition(": ")[0] for note in members]
        many = len(members) > NAMED
        lines += [f"{len(names)} recordings ({', '.join(names[:NAMED])} ...): {text}"] if many else members
    return lines


def _named(cells: Sequence[str]) -> str:
    return cells[0] if len(cells) == 1 else f"{cells[0]} and {len(cells) - 1} more"
