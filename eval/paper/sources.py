"""What a table of the paper takes from beside the run: a listening test's summary, and what `earmark bench` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError

SUMMARY = "summary.csv"


def read_study(place: Path) -> pd.DataFrame:
    """The scores of a listening test: condition, category, mean, ci95_low, ci95_high (and more, which is ignored).

    Args:
        place: a study with its report in it, the report's folder, or its summary.csv.

    Raises:
        UserError: there is no report of a listening test.
    """
    tried = (place, place / SUMMARY, place / "report" / SUMMARY)
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise UserError(f"--mushra {place}: no {SUMMARY} in it; make one with `earmark study report`")
    try:
        study = pd.read_csv(path, dtype={"condition": str, "category": str})
    except (OSError, ValueError) as error:
        raise UserError(f"--mushra {path}: not readable: {error}") from error
    if not {"condition", "category", "mean", "ci95_low", "ci95_high"} <= set(study.columns):
        raise UserError(
            f"--mushra {path}: ratings are screened first: `earmark study report --ratings {path} --out DIR`, then "
            "give DIR"
        )
    return study


def read_bench(path: Path) -> dict[str, dict[str, Any]]:
    """System -> what `earmark bench --out` wrote of it.

    Raises:
        UserError: it is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = {one["system"]: one for one in content["systems"]}
        if all({"latency", "encode", "decode"} <= one.keys() for one in found.values()):
            return found
        reason = "no real-time factors in it"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise UserError(f"--bench {path}: {reason}; make it with `earmark bench --out {path}`")
