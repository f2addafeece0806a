"""Inputs of the paper's tables beside the run: the summary of a listening test, and the output of `earmark bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError

SUMMARY = "summary.csv"


def read_study(path: Path) -> pd.DataFrame:
    """Read the scores of a listening test: condition, category, mean, ci95_low, ci95_high; other columns are ignored.

    Args:
        path: a study that contains its report, the folder of a report, or its summary.csv.

    Raises:
        UserError: there is no report of a listening test.
    """
    candidates = (path, path / SUMMARY, path / "report" / SUMMARY)
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise UserError(f"--mushra {path}: no {SUMMARY} in it; make one with `earmark study report`")
    try:
        study = pd.read_csv(file, dtype={"condition": str, "category": str})
    except (OSError, ValueError) as error:
        raise UserError(f"--mushra {file}: not readable: {error}") from error
    if not {"condition", "category", "mean", "ci95_low", "ci95_high"} <= set(study.columns):
        raise UserError(
            f"--mushra {file}: ratings have to be screened first: `earmark study report --ratings {file} --out DIR`; "
            "then give DIR"
        )
    return study


def read_bench(path: Path) -> dict[str, dict[str, Any]]:
    """Read the output file of `earmark bench --out`, as a mapping from system to its figures.

    Raises:
        UserError: the file is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        systems = {one["system"]: one for one in content["systems"]}
        if all({"latency", "encode", "decode"} <= one.keys() for one in systems.values()):
            return systems
        reason = "no real-time factors in it"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise UserError(f"--bench {path}: {reason}; make it with `earmark bench --out {path}`")
