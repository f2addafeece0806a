"""Everything that a run writes for people: the tables and the report page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.eval.comparison.run_folder import EXCERPTS, REPORT
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.renderers import write_all


def write_results(
    run: Path,
    scores: pd.DataFrame,
    info: Mapping[str, Any],
    *,
    link_audio: bool = False,
    if_missing: bool = False,
    listen_by: str | None = None,
) -> pd.DataFrame:
    """Write table.md, table.tex, table.csv and report.html into the folder of a run.

    Args:
        run: folder of the run, with its decoded audio; a path or an fsspec URL.
        scores: one row per recording, system and metric, as in RUN/scores.parquet.
        info: content of RUN/run.json.
        link_audio: store the report's audio in RUN/excerpts instead of in the page.
        if_missing: keep a report that exists and stores its audio as `link_audio` says, unless `listen_by` is given.
        listen_by: metric by which the report chooses the recordings to play; default: that of its headline.

    Returns:
        The mean scores that the tables show, one row per system, category and metric; see
        `earmark.eval.statistics.aggregate.summarise`.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    summary = summarise(scores)
    keep = if_missing and listen_by is None
    if not (keep and (run / REPORT).exists() and (run / EXCERPTS).exists() == link_audio):
        from earmark.eval.report.page import write_report  # loads matplotlib, which takes a second

        write_all(summary, info, run)
        write_report(run, scores, info, summary=summary, linked=link_audio, listen_by=listen_by)
    return summary
