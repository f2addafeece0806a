"""How far objective metrics agree with listeners, for a study that was cut from a run of `earmark compare`."""

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
    """The metrics' scores of the recordings that the items were cut from.

    Args:
        folder: of the study; a run that is not where it was is looked for beside it.

    Returns:
        item, condition, metric, value, of all scores but those of the hidden reference; None without a run. And a
        sentence that says where they come from, or why there are none ("" where the study came from no run).
    """
    if "run" not in study.provenance:
        return None, ""
    told = Path(study.provenance["run"])
    run = next((path for path in (told, folder.resolve().parent / told.name) if path.is_dir()), told)
    try:
        scores = read_scores(run)
    except UserError:
        return None, f"The run that the study was cut from ({told}) is gone, so no metric is compared with the ratings."
    scores = scores[(scores["status"] == "ok") & (scores["system"] != study.hidden_reference.name)]
    items = pd.DataFrame({"item": [item.id for item in study.items], "file": [item.file for item in study.items]})
    found = items.merge(scores, on="file").rename(columns={"system": "condition"})
    said = f"Metrics are those of the run {run.name}: of whole recordings, where listeners heard excerpts of them."
    return found[["item", "condition", "metric", "value"]], said


def pairs(frame: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean rating beside metric, for every item in every condition that has both.

    Args:
        frame: ratings: listener, item, condition, score, and where known category.
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
        over: "items" (a point for every item in every condition) or "conditions" (a point for each condition's mean).
        n: points, three or more.
        pearson, pearson95_low, pearson95_high: with the interval of Fisher's z, NaN for three points, which have none.
        spearman: rank correlation. Both NaN where either side is constant.
    """
    rows = []
    for metric, of_metric in joined.groupby("metric", sort=False):
        categories = [name for name in of_metric["category"].unique() if name != ALL]
        shown = [ALL, *sorted(categories)] if len(categories) > 1 else [ALL]
        for category in shown:
            points = of_metric if category == ALL else of_metric[of_metric["category"] == category]
            means = points.groupby("condition")[["score", "value"]].mean()
            for over, table in (("conditions", means), ("items", points)):
                if len(table) >= LEAST_PAIRS:
                    rows.append({"metric": metric, "category": category, "over": over, **_correlation(table)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _correlation(table: pd.DataFrame) -> dict[str, float]:
    n = len(table)
    if min(table["score"].nunique(), table["value"].nunique()) < 2:
        return {
            "n": n,
            "pearson": math.nan,
            "pearson95_low": math.nan,
            "pearson95_high": math.nan,
            "spearman": math.nan,
        }
    found = pearsonr(table["value"], table["score"])
    low, high = found.confidence_interval() if n > LEAST_PAIRS else (np.nan, np.nan)
    return {
        "n": n, "pearson": float(found.statistic), "pearson95_low": float(low), "pearson95_high": float(high),
        "spearman": float(spearmanr(table["value"], table["score"]).statistic),
    }  # fmt: skip
