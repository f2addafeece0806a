"""Bit rates of the conditions of a listening test, from the run that it was built from or from a table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import SCORES, read_scores
from earmark.eval.statistics.aggregate import ALL, summarise

COLUMNS = ["condition", "category", "kbps", "coded_kbps"]
MODEL = re.compile(r":lm(=[^:]*)?(?=:|$)")


def without_model(condition: str) -> str:
    """The name of a system without its language model, which changes only the bit rate."""
    return MODEL.sub("", condition)


def rates_of_run(scores: pd.DataFrame) -> pd.DataFrame:
    """Measured bit rates of the systems of a run.

    Args:
        scores: rows of RUN/scores.parquet.

    Returns:
        condition, category ("all" included), kbps, coded_kbps. A system with a language model gives the entropy-coded
        bit rate coded_kbps to the system without one, whose decoded audio is the same. NaN where there is none.
    """
    summary = summarise(scores).drop_duplicates(["system", "category"])[["system", "category", "kbps"]]
    coded = summary["system"].map(without_model) != summary["system"]
    plain, with_model = summary[~coded], summary[coded].copy()
    with_model["base"] = with_model["system"].map(without_model)
    twins = with_model.drop_duplicates(["base", "category"])[["base", "category", "kbps"]]
    twins.columns = pd.Index(["system", "category", "coded_kbps"])
    joined = plain.merge(twins, on=["system", "category"], how="left")
    own = with_model[["system", "category"]].assign(kbps=np.nan, coded_kbps=with_model["kbps"])
    return pd.concat([joined, own], ignore_index=True).rename(columns={"system": "condition"})[COLUMNS]


def read_rates(path: Path) -> pd.DataFrame:
    """Bit rates from a run, or from a table with the columns condition and kbps.

    Args:
        path: folder of a run, or a CSV file. Optional columns are category (default: all), and coded_kbps, the bit rate
            with entropy coding.

    Returns:
        As `rates_of_run`.

    Raises:
        UserError: it is neither, or a bit rate is not a positive number.
    """
    if path.is_dir():
        if not (path / SCORES).exists():
            raise UserError(f"--rates {path}: not a run; give a run of `earmark compare`, or a CSV file of bit rates")
        return rates_of_run(read_scores(path))
    try:
        table = pd.read_csv(path, dtype={"condition": str, "category": str})
    except (OSError, ValueError) as error:
        raise UserError(f"--rates {path}: not readable as a table: {error}") from error
    if not {"condition", "kbps"} <= set(table.columns):
        raise UserError(f"--rates {path}: needs the columns condition and kbps; it may have category and coded_kbps")
    table = table.assign(
        category=table["category"].fillna(ALL) if "category" in table else ALL,
        coded_kbps=table.get("coded_kbps", np.nan),
    )[COLUMNS]
    for name in ("kbps", "coded_kbps"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    given = table[["kbps", "coded_kbps"]]
    values = given.to_numpy(float)
    bad = (values <= 0).any(axis=1) | np.isnan(values).all(axis=1) | np.isinf(values).any(axis=1)
    if bad.any():
        raise UserError(f"--rates {path}: line {int(np.flatnonzero(bad)[0]) + 2}: kbps must be a positive number")
    return table


def rate_of(rates: pd.DataFrame, condition: str, category: str) -> tuple[float, float]:
    """Bit rates of a condition in a category, without and with entropy coding; over all files if it has none there."""
    rows = rates[rates["condition"] == condition]
    for name in (category, ALL):
        of_category = rows[rows["category"] == name]
        if len(of_category):
            first = of_category.iloc[0]
            return float(first["kbps"]), float(first["coded_kbps"])
    return float("nan"), float("nan")
