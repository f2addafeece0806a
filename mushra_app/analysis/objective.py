"""Agreement of objective metrics with listeners, for a study built from a run of `earmark compare`."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from scipy.stats import pearsonr, spearmanr

from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import read_scores
from earmark.eval.statistics.aggregate import ALL
from earmark.mushra_app.analysis import correlation_bootstrap
from earmark.mushra_app.study.study import Study

LEAST_PAIRS = 3
FEW_CONDITIONS = 10  # correlations over fewer say little about other codecs
COLUMNS = [
    "metric", "category", "over", "n", "conditions", "pearson", "pearson95_low", "pearson95_high", "spearman",
    "spearman95_low", "spearman95_high",
]  # fmt: skip


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
    run = run_of(study, folder)
    scores = scores_of(run)
    if scores is None:
        recorded = study.provenance["run"]
        return None, f"The run that the study was built from ({recorded}) is missing, so the report compares no metric."
    scores = scores[(scores["status"] == "ok") & (scores["system"] != study.hidden_reference.name)]
    items = pd.DataFrame({"item": [item.id for item in study.items], "file": [item.file for item in study.items]})
    matched = items.merge(scores, on="file").rename(columns={"system": "condition"})
    note = f"Metrics come from the run {run.name}. They score whole recordings, whereas listeners heard excerpts."
    return matched[["item", "condition", "metric", "value"]], note


def run_of(study: Study, folder: Path) -> Path:
    """The run that a study was built from; one that has moved is searched for beside the study's folder."""
    recorded = Path(study.provenance["run"])
    return next((path for path in (recorded, folder.resolve().parent / recorded.name) if path.is_dir()), recorded)


def scores_of(run: Path) -> pd.DataFrame | None:
    """Scores of a run; None if they are missing."""
    try:
        return read_scores(run)
    except UserError:
        return None


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
        n, conditions: number of points, at least three, and of conditions that they belong to.
        pearson, pearson95_low, pearson95_high: correlation with its interval by a bootstrap of conditions and items,
            NaN for fewer than four conditions or two items.
        spearman, spearman95_low, spearman95_high: the same for the rank correlation. All are NaN if either side is
            constant.
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
                    names = {"metric": metric, "category": category, "over": over, "conditions": len(means)}
                    rows.append(names | _correlation(table) | _intervals(points, over == "conditions"))
    return pd.DataFrame(rows, columns=COLUMNS)


def few_conditions(correlations: pd.DataFrame) -> str:
    """A sentence if the correlations are over fewer than ten conditions; otherwise "".

    Args:
        correlations: from `correlate`.
    """
    most = int(correlations["conditions"].max()) if len(correlations) else FEW_CONDITIONS
    if most >= FEW_CONDITIONS:
        return ""
    return (
        f"The correlations are over {most} conditions. They describe these conditions; fewer than {FEW_CONDITIONS} say "
        "little about how a metric ranks other codecs."
    )


def _correlation(table: pd.DataFrame) -> dict[str, float]:
    """Columns n, pearson and spearman of `correlate`, for one set of points."""
    n = len(table)
    if min(table["score"].nunique(), table["value"].nunique()) < 2:
        return {"n": n, "pearson": math.nan, "spearman": math.nan}
    return {
        "n": n, "pearson": float(pearsonr(table["value"], table["score"]).statistic),
        "spearman": float(spearmanr(table["value"], table["score"]).statistic),
    }  # fmt: skip


def _intervals(points: pd.DataFrame, over_conditions: bool) -> dict[str, float]:
    """Columns of the intervals of `correlate`."""
    condition, item = (pd.factorize(points[name], sort=True)[0] for name in ("condition", "item"))
    pearson, spearman = correlation_bootstrap.intervals(
        points["value"].to_numpy(float), points["score"].to_numpy(float), condition, item,
        over_conditions=over_conditions,
    )  # fmt: skip
    return {
        "pearson95_low": pearson[0], "pearson95_high": pearson[1],
        "spearman95_low": spearman[0], "spearman95_high": spearman[1],
    }  # fmt: skip
