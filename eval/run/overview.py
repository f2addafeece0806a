"""Overview of a run: a row for each system, and the recordings, metrics and commands below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.text import counted
from earmark.eval.statistics.rates import is_yardstick
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import kbps_text, nominal_text


def overview(run: Path, scores: pd.DataFrame, info: Mapping[str, Any]) -> Grid:
    """Describe a run.

    Args:
        scores: rows of RUN/scores.parquet.
        info: content of RUN/run.json.
    """
    records = [_system(name, scores[scores["system"] == name], info) for name in info["systems"]]
    recordings = len(info["recordings"])
    rows = tuple(
        (
            str(one["system"]), str(one["type"]), str(one["version"]), f"{one['recordings']} of {recordings}",
            nominal_text(one["kbps_nominal"]), kbps_text(one["kbps"]), "\n".join(one["metrics"]),
        )
        for one in records
    )  # fmt: skip
    return Grid(
        f"{run}: {counted(len(info['systems']), 'system')}, {counted(len(info['recordings']), 'recording')}",
        ("System", "Type", "Version or folder", "recordings", "kbps nominal", "measured", "metrics"),
        rows,
        tuple(_notes(info)),
        left=3,
        data=tuple({**one, "metrics": " ".join(one["metrics"])} for one in records),
    )


def _system(name: str, rows: pd.DataFrame, info: Mapping[str, Any]) -> dict[str, Any]:
    files = rows.drop_duplicates("file")
    coded = files[files["kbps"].notna()]
    seconds = coded["duration"].sum()
    if name in info.get("decoded", {}):
        kind, version = "decoded audio", info["decoded"][name]["location"]
    else:
        kind, version = ("yardstick" if is_yardstick(name) else "codec"), info["versions"].get(name, "")
    return {
        "system": name,
        "type": kind,
        "recordings": len(files),
        "kbps_nominal": float(files["kbps_nominal"].iloc[0]) if len(files) else float("nan"),
        "kbps": float((coded["kbps"] * coded["duration"]).sum() / seconds) if seconds else float("nan"),
        "metrics": [str(metric) for metric in rows["metric"].unique()],
        "version": version,
    }


def _notes(info: Mapping[str, Any]) -> list[str]:
    categories = Counter(entry["category"] for entry in info["recordings"])
    seconds = sum(entry.get("seconds", 0.0) for entry in info["recordings"])
    rate = "each recording's own" if info["sample_rate"] is None else f"{info['sample_rate']} Hz"
    commands = [*info.get("history", []), info]
    return [
        f"Recordings: {', '.join(f'{count} {name}' for name, count in categories.items())}; {seconds / 60:.1f} min; "
        f"sample rate: {rate}{'; channels averaged' if info['mono'] else ''}.",
        f"Metrics: {', '.join(f'{name} ({version})' for name, version in info.get('metric_versions', {}).items())}.",
        *(f"{entry['created']}: {entry['command']}" for entry in commands),
    ]
