"""RUN/report.html: one file with tables, plots, audio and scripts, which loads nothing from the network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from earmark.codec.files import write_text
from earmark.eval.comparison.run_folder import REPORT
from earmark.eval.report import assets, plots, sections
from earmark.eval.report.choice import OUTLIER, ranking_metric
from earmark.eval.report.excerpts import cut, remove, write_audio
from earmark.eval.report.missing import missing
from earmark.eval.report.scatter import scatters
from earmark.eval.report.summary import headline_metric, sentences
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.layout import SPEED_MEANING, describe, lay_out
from earmark.eval.tables.numbers import factor_text, kbps_text, nominal_text

_HERE = Path(__file__).parent
LISTED = 500  # recordings that the page lists; run.json has them all


def write_report(
    run: Path,
    scores: pd.DataFrame,
    info: Mapping[str, Any],
    *,
    summary: pd.DataFrame | None = None,
    linked: bool = False,
) -> Path:
    """Write RUN/report.html.

    Args:
        run: folder of the run, with the decoded audio.
        scores: rows of RUN/scores.parquet.
        info: content of RUN/run.json.
        summary: `summarise(scores)`, if the caller has it already.
        linked: store the players' audio in RUN/excerpts instead of in the page.

    Returns:
        The path of the report.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    excerpts = cut(run, scores, linked=linked)
    if linked:
        links = write_audio(run, excerpts)
    else:
        links = []
        remove(run)  # audio of an earlier report
    content = _content(scores, summarise(scores) if summary is None else summary, info)
    text = _environment().get_template("report.html").render(
        info=info, excerpts=excerpts, links=links, **content, style=Markup(assets.style()),
        import_map=assets.import_map(), modules=assets.MODULES,
    )  # fmt: skip
    path = run / REPORT
    write_text(path, text)
    return path


def _content(scores: pd.DataFrame, summary: pd.DataFrame, info: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables that depend on the scores."""
    speech = info["speech_categories"]
    layout = lay_out(summary, speech)
    styles = plots.styles(summary.loc[summary["kbps"].notna(), "system"].unique())
    pairs = sections.pairs_by_metric(scores, speech)
    ranking, headline = ranking_metric(scores), headline_metric(scores)
    return {
        "layout": layout,
        "speed_note": SPEED_MEANING,
        "recordings": [recording for recording in info["recordings"] if not recording["error"]],
        "listed": LISTED,
        "missing": missing(scores, info),
        "curves": sections.curves(summary, layout, styles),
        "scatters": scatters(scores, styles, speech),
        "outlier": OUTLIER,
        "codecs": list(styles),
        "headline": describe(headline) if headline else None,
        "sentences": sentences(summary, pairs[headline], headline) if headline in pairs else [],
        "comparisons": sections.comparisons(scores, pairs, speech),
        "worst": sections.worst(scores),
        "ranking": describe(ranking) if ranking else None,
        "definitions": sections.definitions(info),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "kbps": kbps_text, "nominal": nominal_text, "factor": factor_text, "clock": clock, "minus": minus,
        "decibels": lambda gain: minus(f"{gain:+.1f} dB"),
    }  # fmt: skip
    return environment


def clock(seconds: float) -> str:
    """Format a duration: "0:07.5", and "1:02:03" from an hour on."""
    minutes, rest = divmod(round(seconds, 1), 60)
    if minutes < 60:
        return f"{minutes:.0f}:{rest:04.1f}"
    return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{rest:02.0f}"


def minus(text: str) -> str:
    """Replace a leading hyphen by a minus sign."""
    return re.sub(r"^-", "−", text)
