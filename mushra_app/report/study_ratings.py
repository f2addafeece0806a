"""Ratings of one of our own studies, with its checks, questionnaires and objective scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from earmark.codec.errors import UserError
from earmark.mushra_app.analysis.objective import metric_scores, run_of, scores_of
from earmark.mushra_app.analysis.rates import rates_of_run
from earmark.mushra_app.database import collected
from earmark.mushra_app.database.store import open_store
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.study.study import load


def study_ratings(folder: Path, database: str | None = None) -> Ratings:
    """Read the ratings that one of our own studies has collected.

    Args:
        folder: study folder.
        database: SQLAlchemy URL; default: STUDY/ratings.sqlite.

    Raises:
        UserError: if there is no such study or database, or no listener has finished a trial.
    """
    study = load(folder)
    store = open_store(study, folder, database, create=False)
    table = store.ratings()
    if table.empty:
        raise UserError(f"{folder}: no listener has finished a trial yet; invite some with `earmark study serve`")
    metrics, note = metric_scores(study, folder)
    scores = scores_of(run_of(study, folder)) if "run" in study.provenance else None
    with store.reading() as session:
        result, answers = collected.as_ratings(session, study, table), collected.questionnaire_answers(session)
        devices = collected.devices(session)
    return replace(
        result,
        notes=(note,) if note else (),
        metrics=metrics,
        answers=answers,
        devices=devices[devices["listener"].isin(table["listener"])],
        rates=None if scores is None else rates_of_run(scores),
    )
