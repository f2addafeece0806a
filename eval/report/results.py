"""Everything that a run writes for people: the tables and the report page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from earmark.eval.comparison.run_folder import EXCERPTS, REPORT, read_info, read_scores, written_by_one
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.renderers import write_all

if TYPE_CHECKING:
    from earmark.eval.comparison.pool import Workers


class Written(NamedTuple):
    """A run whose tables and report are written.

    Args:
        summary: mean scores, as from `write_results`.
        info: content of run.json.
        complete: whether the report has all its players; if not, a line on standard error said why.
    """

    summary: pd.DataFrame
    info: dict[str, Any]
    complete: bool


def load() -> None:
    """Import what writes the report, which takes a second: while worker processes are busy, it costs no time."""
    import earmark.eval.report.page  # noqa: F401


def refresh(
    run: Path, *, link_audio: bool = False, if_missing: bool = False, listen_by: str | None = None,
    workers: Workers | None = None,
) -> Written:  # fmt: skip
    """Write tables and report of what the folder of a run has now, while other commands wait.

    Args:
        run, link_audio, if_missing, listen_by, workers: see `write_results`.
    """
    if if_missing and _is_complete(run, link_audio) and listen_by is None:
        info = read_info(run)
        return Written(summarise(read_scores(run)), info, complete=True)
    with written_by_one(run):
        info = read_info(run)
        summary, complete = _write(run, read_scores(run), info, link_audio, listen_by, workers)
        return Written(summary, info, complete)


def _is_complete(run: Path, link_audio: bool) -> bool:
    return (run / REPORT).exists() and (run / EXCERPTS).exists() == link_audio


def write_results(
    run: Path,
    scores: pd.DataFrame,
    info: Mapping[str, Any],
    *,
    link_audio: bool = False,
    if_missing: bool = False,
    listen_by: str | None = None,
    workers: Workers | None = None,
) -> pd.DataFrame:
    """Write table.md, table.tex, table.csv and report.html into the folder of a run.

    Args:
        run: folder of the run, with its decoded audio; a path or an fsspec URL.
        scores: one row per recording, system and metric, as in RUN/scores.parquet.
        info: content of RUN/run.json.
        link_audio: store the report's audio in RUN/excerpts instead of in the page.
        if_missing: keep a report that exists and stores its audio as `link_audio` says, unless `listen_by` is given.
        listen_by: metric by which the report chooses the recordings to play; default: that of its headline.
        workers: processes that help; by default this process does everything.

    Returns:
        The mean scores that the tables show, one row per system, category and metric; see
        `earmark.eval.statistics.aggregate.summarise`.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    if if_missing and listen_by is None and _is_complete(run, link_audio):
        return summarise(scores)
    summary, _ = _write(run, scores, info, link_audio, listen_by, workers)
    return summary


def _write(
    run: Path, scores: pd.DataFrame, info: Mapping[str, Any], link_audio: bool, listen_by: str | None,
    workers: Workers | None,
) -> tuple[pd.DataFrame, bool]:  # fmt: skip
    """The mean scores, and whether the report has all its players; see `write_results`."""
    from earmark.eval.report.page import begin_players, write_report

    players = begin_players(run, scores, linked=link_audio, listen_by=listen_by, workers=workers)
    summary = summarise(scores)
    write_all(summary, info, run)
    write_report(run, scores, info, summary=summary, linked=link_audio, listen_by=listen_by, begun=players)
    return summary, not players.failures
