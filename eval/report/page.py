"""RUN/report.html: one file with tables, plots, audio and scripts, which loads nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.files import write_text
from earmark.eval.comparison.failures import grouped_notes
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.run_folder import REPORT
from earmark.eval.report import plots, sections
from earmark.eval.report.alignment import alignment_grids
from earmark.eval.report.choice import OUTLIER, choices, headline_metric
from earmark.eval.report.excerpts import Excerpts, begin, by_category, remove, write_audio
from earmark.eval.report.missing import missing
from earmark.eval.report.scatter import scatters
from earmark.eval.report.summary import headlines
from earmark.eval.report.templating import render
from earmark.eval.report.worst import worst_tables
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.statistics.rates import tested
from earmark.eval.tables.columns import describe
from earmark.eval.tables.layout import SPEED_MEANING, lay_out
from earmark.eval.tables.published import published_systems, with_published

LISTED = 500  # recordings that the page lists; run.json has them all


def write_report(
    run: Path,
    scores: pd.DataFrame,
    info: Mapping[str, Any],
    *,
    summary: pd.DataFrame | None = None,
    linked: bool = False,
    listen_by: str | None = None,
    published: Sequence[pd.DataFrame] = (),
    begun: Excerpts | None = None,
) -> Path:
    """Write RUN/report.html.

    Args:
        run: folder of the run, with the decoded audio.
        scores: rows of RUN/scores.parquet.
        info: content of RUN/run.json.
        summary: `summarise(scores)`, if the caller has it already.
        linked: store the players' audio in RUN/excerpts instead of in the page.
        listen_by: metric by which the recordings to play are chosen; default: that of the headline, which also stands
            for a metric without any score.
        published: published figures to show beside those of the run, from `earmark.eval.tables.published`.
        begun: what `begin_players` returned for the same arguments; default: cut the excerpts now.

    Returns:
        The path of the report.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    players = begin_players(run, scores, linked=linked, listen_by=listen_by) if begun is None else begun
    content = _content(scores, summarise(scores) if summary is None else summary, info, published)
    excerpts = by_category(players.wait(), list(dict.fromkeys(scores["category"])))
    if linked:
        links = write_audio(run, excerpts)
    else:
        links = []
        remove(run)  # audio of an earlier report
    ranking = _ranking(scores, listen_by)
    text = render(
        "report.html", info=info, excerpts=excerpts, links=links, ranking=describe(ranking) if ranking else None,
        worst=worst_tables(run, scores, excerpts), unplayed=players.failures, **content,
    )  # fmt: skip
    path = run / REPORT
    write_text(path, text)
    return path


def begin_players(
    run: Path, scores: pd.DataFrame, *, linked: bool, listen_by: str | None, workers: Workers | None = None
) -> Excerpts:
    """Begin to cut the excerpts that the report plays in worker processes; without any, they are cut when needed.

    Args:
        run, scores, linked, listen_by: see `write_report`.
        workers: the processes.
    """
    ranking = _ranking(scores, listen_by)
    return begin(run, scores, choices(scores, ranking), ranking, linked=linked, workers=workers)


def _ranking(scores: pd.DataFrame, listen_by: str | None) -> str | None:
    """The metric by which the recordings to play are chosen."""
    scored = set(scores.loc[scores["status"] == "ok", "metric"])
    return listen_by if listen_by in scored else headline_metric(scores)


def _content(
    scores: pd.DataFrame, summary: pd.DataFrame, info: Mapping[str, Any], published: Sequence[pd.DataFrame]
) -> dict[str, Any]:
    """The template's variables that depend on the scores, except for the players and what names them."""
    speech = info["speech_categories"]
    shown = with_published(summary, published) if published else summary
    layout = lay_out(shown, speech)
    styles = plots.styles(tested(summary)["system"].unique())
    pairs = sections.pairs_by_metric(scores, speech)
    headline = headline_metric(scores)
    return {
        "layout": layout,
        "notes": grouped_notes(info.get("notes", ())),
        "speed_note": SPEED_MEANING,
        "recordings": [recording for recording in info["recordings"] if not recording["error"]],
        "listed": LISTED,
        "missing": missing(scores, info),
        "curves": sections.curves(shown, layout, plots.styles([*styles, *published_systems(shown)])),
        "scatters": scatters(scores, styles, speech),
        "outlier": OUTLIER,
        "codecs": list(styles),
        "headline": describe(headline) if headline else None,
        "headlines": headlines(summary, pairs[headline], headline) if headline in pairs else [],
        "comparisons": sections.comparisons(scores, pairs, speech),
        "alignment": alignment_grids(scores, info),
        "definitions": sections.definitions(info),
    }
