"""Table of the worst recordings of one system."""

from __future__ import annotations

import pandas as pd

from earmark.eval.statistics.scales import decimals_of
from earmark.eval.statistics.worst import Worst
from earmark.eval.tables.columns import describe
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import kbps_text, signed
from earmark.eval.tables.per_file import plain_records


def worst_grid(worst: Worst, scores: pd.DataFrame) -> Grid:
    """Table of the worst recordings, one row each; its data have the scores by all metrics too.

    Args:
        scores: rows of RUN/scores.parquet.
    """
    column, against = describe(worst.metric), worst.against
    decimals = decimals_of(worst.rows["value"])
    unit = f" ({column.unit})" if column.unit else ""
    headings = ["Recording", "Category", "score", "against the median", "kbps", *([against] if against else [])]
    rows = []
    for row in worst.rows.to_dict("records"):
        cells = [row["file"], row["category"], f"{row['value']:.{decimals}f}", signed(row["gap"], decimals)]
        cells.append(kbps_text(row["kbps"]))
        if against:
            cells.append(f"{row['other']:.{decimals}f} ({signed(row['difference'], decimals)})")
        rows.append(tuple(cells))
    return Grid(
        f"{worst.system}: the {len(worst.rows)} worst recordings by {column.title}{unit} {column.arrow}".rstrip(),
        tuple(headings), tuple(rows), (explanation(worst),), left=2,
        data=tuple(plain_records(worst.rows.merge(by_metric(scores, worst.system), on="file", how="left"))),
    )  # fmt: skip


def explanation(worst: Worst) -> str:
    """How the recordings are ranked."""
    title = describe(worst.metric).title
    if worst.against:
        return f"Ranked by the loss against {worst.against}, whose score stands beside that of {worst.system}."
    if worst.ranked_by == "gap":
        return f"{title} has two scales, so the recordings are ranked by the gap to the median of their category."
    return f"Ranked by {title}; beside it the gap to the median of the category."


def by_metric(scores: pd.DataFrame, system: str) -> pd.DataFrame:
    """Scores of one system, a row per recording and a column per metric; NaN where there is none."""
    rows = scores[scores["system"] == system]
    table = rows.pivot(index="file", columns="metric", values="value")
    return table.reindex(columns=rows["metric"].unique()).rename_axis(columns=None).reset_index()
