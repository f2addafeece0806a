"""Agreement of objective metrics with listeners, for a study built from a run of `earmark compare`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import read_scores
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.study.study import Study

LEAST_PAIRS = 3
COLUMNS = ["metric", "category", "over", "n", "pearson", "pearson95_low", "pearson95_high", "spearman"]


def metric_scores(study: Study, folder: Path) -> tuple[pd.DataFrame | None, str]:
    """Metric scores of the recordings that the items come from.

    Args:
        study: the study.
        folder: its folder; a run that has moved is also searched for beside it.

    Returns:
        The scores, except those of the hidden reference, as a table with item, condition, metric and value; None if
        the run is missing. And a note on their source, or on why there are none ("" if the study has no run).
    """
    if "run" not in study.provenance:
        return None, ""
    recorded = Path(study.provenance["run"])
    run = next((path for path in (recorded, folder.resolve().parent / recorded.name) if path.is_dir()), recorded)
    try:
        scores = read_scores(run)
    except UserError:
        return None, f"The run that the study was built from ({recorded}) is missing, so the report compares no metric."
    scores = scores[(scores["status"] == "ok") & (scores["system"] != study.hidden_reference.name)]
    items = pd.DataFrame({"item": [item.id for item in study.items], "file": [item.file for item in study.items]})
    matched = items.merge(scores, on="file").rename(columns={"system": "condition"})
    note = f"Metrics come from the run {run.name}. They score whole recordings, whereas listeners heard excerpts."
    return matched[["item", "condition", "metric", "value"]], note


def pairs(frame: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean rating and metric value of every item in every condition that has both.

    Args:
        frame: ratings: listener, item, condition, score, and if known category.
        metrics: from `metric_scores`.

    Returns:
        metric, category, item, condition, score (mean over listeners), value.
    """
    keys = [name for name in ("item", "category", "condition") if name in frame]
    means = frame.groupby(keys)["score"].mean().reset_index()
    if "category" not in means:
        means["category"] = ALL
    return means.merge(metrics, on=["item", "condition"])


def correlate(joined: pd.DataFrame) -> pd.DataFrame:
    """Correlation of each metric with the mean ratings, for all items together and for each category.

    Args:
        joined: from `pairs`.

    Returns:
        metric, category ("all" first).
        over: "items" (one point per item and condition) or "conditions" (one point per condition's mean).
        n: number of points, at least three.
        pearson, pearson95_low, pearson95_high: correlation with its interval by Fisher's z, NaN for three points.
        spearman: rank correlation. Both are NaN if either side is constant.
    """
    rows = []
    for metric, all_points in joined.groupby("metric", sort=False):
        categories = [name for name in all_points["category"].unique() if name != ALL]
        shown = [ALL, *sorted(categories)] if len(categories) > 1 else [ALL]
        for category in shown:
            points = all_points if category == ALL else all_points[all_points["category"] == category]
            means = points.groupby("condition")[["score", "value"]].mean()
            for over, table in (("conditions", means), ("items", points)):
                if len(table) >= LEAST_PAIRS:
                    rows.append({"metric": metric, "category": category, "over": over, **_correlation(table)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _correlation(table: pd.DataFrame) -> dict[str, float]:
    """Columns n to spearman of `correlate`, for one set of points."""
    n = len(table)
    if min(table["score"].nunique(), table["value"].nunique()) < 2:
        return {"n": n, **dict.fromkeys(["pearson", "pearson95_low", "pearson95_high", "spearman"], math.nan)}
    pearson = pearsonr(table["value"], table["score"])
    low, high = pearson.confidence_interval() if n > LEAST_PAIRS else (np.nan, np.nan)
    return {
        "n": n, "pearson": float(pearson.statistic), "pearson95_low": float(low), "pearson95_high": float(high),
        "spearman": float(spearmanr(table["value"], table["score"]).statistic),
    }  # fmt: skip
